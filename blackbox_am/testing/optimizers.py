"""The contract suite of optimizers, for pytest.

Subclass it in a test module, and give it your optimizer::

    class TestMine(OptimizerContract):
        @pytest.fixture
        def optimizer(self):
            return Mine(population=8)

Every promise of `blackbox_am.core.optimizer.Optimizer` is then tested, in every kind of
space that the optimizer says it can search, on the CPU and on a CUDA device where there is one.
The tests on CUDA carry the marker `cuda`, some long ones `slow`; register both in your pytest
configuration.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec
import numpy as np
import pytest
import torch

from blackbox_am.core import state as states
from blackbox_am.core.optimizer import MAX_POPULATION, Optimizer, Proposal, kinds
from blackbox_am.core.space import Space, build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.errors import GradientUnavailable
from blackbox_am.testing import searches
from blackbox_am.testing.positions import PositionContract
from blackbox_am.testing.searches import (
    SPACES,
    NoStream,
    Search,
    copy_of,
    displaced,
    displaced_state,
    finite,
    quadratic,
    refusal,
    same,
    searchable,
)

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.cuda)][: 1 + torch.cuda.is_available()]


class OptimizerContract(PositionContract):
    """What every optimizer promises. Override `optimizer`."""

    @pytest.fixture(params=DEVICES, autouse=True)
    def device(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
        """The device that the searches of a test compute on: each device there is."""
        name: str = request.param
        monkeypatch.setattr(searches, "DEVICE", name)
        return name

    @pytest.fixture
    def optimizer(self) -> Optimizer[Any]:
        """The optimizer under test."""
        raise NotImplementedError("override the fixture `optimizer`")

    def test_is_a_frozen_dataclass_with_defaults_and_a_schema(
        self, optimizer: Optimizer[Any]
    ) -> None:
        parameters = dataclasses.fields(optimizer)  # type: ignore[arg-type]
        if parameters:
            with pytest.raises(dataclasses.FrozenInstanceError):
                setattr(optimizer, parameters[0].name, None)
        type(optimizer)()
        schema = msgspec.json.schema(type(optimizer))
        properties = schema["$defs"][type(optimizer).__name__]["properties"]
        assert set(properties) == {parameter.name for parameter in parameters}
        assert optimizer.order in (0, 1)
        assert type(optimizer).__doc__

    def test_refuses_spaces_it_cannot_search_and_says_why(self, optimizer: Optimizer[Any]) -> None:
        assert searchable(optimizer), "it refuses every space"
        for space in map(build_space, SPACES):
            fits = not optimizer.needs_image or len(space.spec.image_shape) == 3
            if kinds(space) <= optimizer.spaces and fits:
                assert not refusal(optimizer, space)
            else:
                message = refusal(optimizer, space)
                assert optimizer.name in message
                assert space.kind in message
                assert not space.mixed or "codes" in message

    def test_asks_for_latents_of_the_right_shape(self, optimizer: Optimizer[Any]) -> None:
        for space in searchable(optimizer):
            population = optimizer.population_size(space)
            assert 1 <= population <= MAX_POPULATION
            for dtype in (torch.float32, torch.float64):
                latents = Search(optimizer, space, dtype=dtype).ask()
                assert latents.shape == (3, population, space.dim), space.kind
                assert latents.dtype == (space.dtype or dtype), space.kind
                assert latents.isfinite().all()

    def test_state_is_tensors_with_a_leading_target_axis(self, optimizer: Optimizer[Any]) -> None:
        for space in searchable(optimizer):
            search = Search(optimizer, space)
            search.run(2)
            assert type(search.state) is search.optimizer.state_type
            tensors, sessions = states.arrays(search.state), states.sessions(search.state)
            known = {name.partition(".")[0] for name in (*tensors, *sessions)}
            assert known == {field.name for field in dataclasses.fields(search.state)}
            assert optimizer.replay_only or not sessions, "live objects cannot be written"
            for name, tensor in tensors.items():
                assert tensor.is_contiguous(), f"{name}: a snapshot would change its layout"
                assert tensor.shape[:1] == (3,), name
            for name, live in sessions.items():
                assert len(live) == 3, name

    def test_ask_is_pure(self, optimizer: Optimizer[Any]) -> None:
        for space in searchable(optimizer):
            search, once = Search(optimizer, space), Search(optimizer, space)
            search.run(2)
            once.run(2)
            before = copy_of(search.state)
            first, second = search.ask(), search.ask()
            assert torch.equal(first, second), space.kind
            assert same(search.state, before), space.kind
            search.run(1)
            once.run(1)
            assert torch.equal(search.ask(), once.ask()), f"{space.kind}: asking twice left a trace"

    def test_leaves_global_random_numbers_alone(self, optimizer: Optimizer[Any]) -> None:
        before = torch.random.get_rng_state()
        numbers = repr(np.random.get_state(legacy=True))  # noqa: NPY002
        Search(optimizer, searchable(optimizer)[0]).run(2)
        assert torch.equal(before, torch.random.get_rng_state())
        assert numbers == repr(np.random.get_state(legacy=True))  # noqa: NPY002

    def test_seeds_make_searches_differ(self, optimizer: Optimizer[Any]) -> None:
        for space in searchable(optimizer):
            one = Search(optimizer, space, seed=1).run(3)
            again = Search(optimizer, space, seed=1).run(3)
            other = Search(optimizer, space, seed=2).run(3)
            assert torch.equal(one[-1], again[-1]), space.kind
            assert not torch.equal(one[-1], other[-1]), space.kind

    def test_a_target_does_not_know_the_others(self, optimizer: Optimizer[Any]) -> None:
        generations = 8 if optimizer.replay_only else 30  # libraries are slow, and work one by one
        for space in searchable(optimizer):
            together = torch.stack(Search(optimizer, space).run(generations))
            for k, count in ((0, 4), (1, generations), (2, 4)):
                alone = torch.stack(Search(optimizer, space, targets=(k,)).run(count))
                assert torch.equal(alone[:, 0], together[:count, k]), f"{space.kind}, target {k}"

    @pytest.mark.parametrize(
        "offset", [4, *(pytest.param(n, marks=pytest.mark.slow) for n in (8, 12, 20, 36, 60))]
    )
    def test_bits_do_not_depend_on_memory_addresses(
        self, optimizer: Optimizer[Any], offset: int
    ) -> None:
        """Every tensor of the state, the latents and the scores begin at odd places."""
        generations = 3 if optimizer.replay_only else 8
        for space in [*searchable(optimizer), *_wide(optimizer)]:
            usual, moved = Search(optimizer, space), Search(optimizer, space)
            for _ in range(generations):
                moved.state = displaced_state(moved.state, offset)
                latents, again = space.project(usual.ask()), space.project(moved.ask())
                assert torch.equal(latents, again), f"{space.kind}, {space.dim} dimensions: ask"
                scores = usual.scores(latents)
                moved.state = displaced_state(moved.state, offset)
                moved.tell(displaced(latents, offset), displaced(scores, offset))
                usual.tell(latents, scores)
                assert same(usual.state, moved.state), f"{space.kind}, {space.dim} dimensions: tell"

    def test_wants_one_row_of_each_target_at_least(self, optimizer: Optimizer[Any]) -> None:
        for space in searchable(optimizer):
            search, again = Search(optimizer, space), Search(optimizer, space)
            for _ in range(4):
                proposal = search.propose()
                mask = proposal.mask()
                assert mask.shape == proposal.latents.shape[:2], space.kind
                assert mask.dtype == torch.bool
                assert mask.device == proposal.latents.device
                assert mask.any(-1).all(), f"{space.kind}: a target of which no row is wanted"
                assert torch.equal(mask, search.propose().mask()), "asked twice, wanted others"
                assert torch.equal(mask, again.propose().mask())
                search.run(1)
                again.run(1)

    def test_neither_reads_from_the_device_nor_copies_to_it(
        self, optimizer: Optimizer[Any]
    ) -> None:
        """On tensors of the device `meta`, which have no numbers, any read fails. Constants may be
        copied there once, in the first generation.
        """
        if optimizer.host_reads:
            return
        for space in searchable(optimizer):
            search = Search(optimizer, space)
            search.run(2)
            if search.optimizer.host_reads:
                continue  # another optimizer, chosen for this space
            state = states.build(
                type(search.state),
                {name: t.to("meta") for name, t in states.arrays(search.state).items()},
            )
            latents = search.told[-1].to("meta")
            scores = latents.new_empty(latents.shape[:2], dtype=torch.float64)
            gradients = latents.clone() if optimizer.order == 1 else None
            stream = NoStream(search.targets, search.dtype)
            asked = Proposal.of(search.optimizer.ask(space, state, stream))
            assert asked.latents.shape == latents.shape, space.kind
            assert space.project(asked.latents).device.type == "meta"
            state = search.optimizer.tell(space, state, latents, scores, gradients)
            assert all(t.device.type == "meta" for t in states.arrays(state).values())
            with searches.NoCopies():
                latents = Proposal.of(search.optimizer.ask(space, state, stream)).latents
                scores = latents.new_empty(latents.shape[:2], dtype=torch.float64)
                gradients = latents.clone() if optimizer.order == 1 else None
                search.optimizer.tell(space, state, space.project(latents), scores, gradients)

    @pytest.mark.cuda
    def test_never_waits_for_cuda(self, optimizer: Optimizer[Any], device: str) -> None:
        if optimizer.host_reads or device != "cuda":
            return
        for space in searchable(optimizer):
            search = Search(optimizer, space)
            search.run(3)  # columns are copied to the device once
            if search.optimizer.host_reads:
                continue
            latents = space.project(search.ask())
            scores = search.scores(latents)
            torch.cuda.synchronize()
            torch.cuda.set_sync_debug_mode("error")
            try:
                space.project(search.ask())
                search.tell(latents, scores)
            finally:
                torch.cuda.set_sync_debug_mode("default")

    def test_dropping_a_target_does_not_change_the_others(self, optimizer: Optimizer[Any]) -> None:
        for space in searchable(optimizer):
            whole = torch.stack(Search(optimizer, space).run(10))
            search = Search(optimizer, space)
            search.run(5)
            search.keep((0, 2))
            part = torch.stack(search.run(5)[5:])
            assert torch.equal(part, whole[5:, [0, 2]]), space.kind

    def test_a_target_that_rested_goes_on_as_it_was(self, optimizer: Optimizer[Any]) -> None:
        """A raised budget wakes what had dropped out, where it was."""
        for space in searchable(optimizer):
            search, alone = Search(optimizer, space), Search(optimizer, space, targets=(1,))
            search.run(4)
            alone.run(4)
            rested = search.keep((0, 2))
            search.run(3)
            search.state = states.merge(rested, torch.tensor([0, 2]), search.state)
            search.targets = (0, 1, 2)
            alone.generation = search.generation
            assert torch.equal(search.run(1)[-1][1], alone.run(1)[-1][0]), space.kind
            assert torch.equal(search.run(1)[-1][1], alone.run(1)[-1][0]), space.kind

    def test_a_snapshot_continues_to_the_last_bit(self, optimizer: Optimizer[Any]) -> None:
        if optimizer.replay_only:
            return
        for space in searchable(optimizer):
            search = Search(optimizer, space)
            search.run(5)
            data = states.to_bytes(search.state)
            whole = torch.stack(search.run(5)[5:])
            resumed = Search(optimizer, space)
            resumed.generation = 5
            resumed.state = states.from_bytes(
                resumed.optimizer.state_type, data, torch.device(resumed.device)
            )
            assert torch.equal(torch.stack(resumed.run(5)), whole), space.kind

    def test_a_replay_continues_to_the_last_bit(self, optimizer: Optimizer[Any]) -> None:
        """Recorded scores, told again, lead to where the search was: rows that failed too."""
        if optimizer.order == 1:
            return  # gradients are not recorded
        for space in searchable(optimizer):
            search, again = Search(optimizer, space), Search(optimizer, space)
            recorded = []
            for generation in range(6):
                latents = space.project(search.ask())
                scores = search.scores(latents)
                lost = _missing(
                    ("some", "none", "half")[generation % 3], len(scores[0]), generation
                )
                scores[:, lost.to(scores.device)] = torch.nan
                search.tell(latents, scores)
                recorded.append((latents, scores))
            for latents, scores in recorded:
                assert torch.equal(space.project(again.ask()), latents), space.kind
                again.tell(latents, scores)
            for _ in range(3):
                assert torch.equal(search.run(1)[-1], again.run(1)[-1]), space.kind

    @pytest.mark.parametrize(
        "missing",
        [
            *("some", "all but one", "all"),
            *(pytest.param(which, marks=pytest.mark.slow) for which in ("none", "half")),
        ],
    )
    def test_survives_missing_rows(self, optimizer: Optimizer[Any], missing: str) -> None:
        for space in searchable(optimizer):
            search = Search(optimizer, space)
            for generation in range(12):
                latents = search.ask()
                scores = search.scores(space.project(latents))
                lost = _missing(missing, scores.shape[1], generation)
                scores[:, lost.to(scores.device)] = torch.nan
                search.tell(space.project(latents), scores)
            assert finite(search.state), space.kind
            assert search.ask().isfinite().all()

    @pytest.mark.parametrize(
        "value",
        [0.0, pytest.param(-1e30, marks=pytest.mark.slow), torch.inf, -torch.inf],
        ids=["zero", "huge", "inf", "-inf"],
    )
    def test_survives_flat_and_infinite_scores(
        self, optimizer: Optimizer[Any], value: float
    ) -> None:
        for space in searchable(optimizer):
            search = Search(optimizer, space)
            for generation in range(12):
                latents = space.project(search.ask())
                scores = search.scores(latents)
                scores[:, :: 1 + generation % 2] = value  # all of them, then every other one
                search.tell(latents, scores)
            assert finite(search.state), space.kind
            assert search.ask().isfinite().all()

    def test_only_the_order_of_scores_matters(self, optimizer: Optimizer[Any]) -> None:
        if not optimizer.rank_based:
            return
        for space in searchable(optimizer):
            search = Search(optimizer, space, score=_rounded)
            if not search.optimizer.rank_based:
                continue  # another optimizer, chosen for this space
            raw = search.run(8)
            bent = Search(optimizer, space, score=_bent).run(8)
            assert torch.equal(raw[-1], bent[-1]), space.kind

    def test_the_order_of_rows_does_not_matter(self, optimizer: Optimizer[Any]) -> None:
        if not optimizer.exchangeable:
            return
        for space in searchable(optimizer):
            searches = [Search(optimizer, space, dtype=torch.float64) for _ in range(2)]
            for _ in range(4):
                latents = space.project(searches[0].ask())
                scores = searches[0].scores(latents)
                backwards = torch.arange(latents.shape[1]).flip(0)
                for search, rows in zip(searches, (None, backwards), strict=True):
                    search.tell(latents, scores, rows)
            torch.testing.assert_close(searches[0].ask(), searches[1].ask(), rtol=1e-6, atol=1e-8)

    def test_order_one_needs_gradients(self, optimizer: Optimizer[Any]) -> None:
        if optimizer.order == 0:
            return
        space = searchable(optimizer)[0]
        search = Search(optimizer, space)
        latents = space.project(search.ask())
        with pytest.raises(GradientUnavailable, match=optimizer.name):
            search.optimizer.tell(space, search.state, latents, search.scores(latents))


def _wide(optimizer: Optimizer[Any]) -> list[Space]:
    """A space of so many dimensions that triangular solves take another kernel, if searchable."""
    space = build_space(SpaceSpec("normal", 33))
    return [] if refusal(optimizer, space) else [space]


def _rounded(latents: torch.Tensor, target: int) -> torch.Tensor:
    """The hill in steps of 2^-30: codes in another order score the same, to the last bit."""
    return (quadratic(latents, target) * 2**30).round() / 2**30


def _bent(latents: torch.Tensor, target: int) -> torch.Tensor:
    """An increasing function of the rounded hill: the same order, and other numbers.

    Squares move neighbouring numbers apart, so that rounding makes no two scores equal, as
    roots would, nor different.
    """
    return -_rounded(latents, target).square()


def _missing(which: str, population: int, generation: int) -> torch.Tensor:
    """(P,) bool: rows to lose, other ones each generation."""
    place = (torch.arange(population) + generation) % population
    lost = {
        "none": 0,
        "some": max(1, population // 8),
        "half": population // 2,
        "all but one": population - 1,
        "all": population,
    }[which]
    return place < lost
