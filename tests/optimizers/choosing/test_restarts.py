"""Restarts: when a run ends, where the next one starts, and how many rows it takes."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from blackbox_am import plugins
from blackbox_am.core import state as states
from blackbox_am.core.optimizer import Optimizer
from blackbox_am.core.space import Space, build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.errors import InvalidSpec, StoreCorrupt, Unsupported
from blackbox_am.optimizers.choosing._gathering import STRATEGIES
from blackbox_am.optimizers.choosing.restarts import FLAT, Restarts
from blackbox_am.optimizers.evolution.cma import CMA
from blackbox_am.testing.optimizers import OptimizerContract
from blackbox_am.testing.searches import Search

Scores = Callable[[torch.Tensor, int], torch.Tensor]


def normal(dim: int = 6) -> Space:
    return build_space(SpaceSpec("normal", dim))


def level(latents: torch.Tensor, _: int) -> torch.Tensor:
    return torch.zeros(len(latents))


def slope(latents: torch.Tensor, _: int) -> torch.Tensor:
    return latents[:, 0]


class TestRestless(OptimizerContract):
    """The contract, kept through restarts too."""

    @pytest.fixture(params=["ipop", pytest.param("bipop", marks=pytest.mark.slow)])
    def optimizer(self, request: pytest.FixtureRequest) -> Optimizer[Any]:
        return Restarts(
            inner="snes", parameters={"population": 6}, scheme=request.param, patience=1, growth=4
        )


@pytest.mark.parametrize("inner", sorted(STRATEGIES))
def test_is_the_strategy_inside_until_the_first_restart(inner: Any) -> None:
    parameters = {"sigma": 0.4, "start": "sample"}
    alone = Search(plugins.optimizers.build(inner, parameters), normal()).run(12)
    wrapped = Search(Restarts(inner=inner, parameters=parameters), normal()).run(12)
    assert torch.equal(torch.stack(alone), torch.stack(wrapped))


def test_a_level_score_ends_a_run_and_doubles_the_next() -> None:
    search = Search(Restarts(inner="sep_cma"), normal(), targets=(0, 1), score=level)
    search.run(FLAT - 1)
    assert not search.state.fresh.any()
    search.run(1)
    assert search.state.fresh.all()
    assert search.state.wanted.tolist() == [2, 2]
    search.run(1)  # samples of the prior
    assert not search.state.fresh.any()
    assert search.state.inner["generation"].tolist() == [0, 0]
    search.run(1)
    assert search.state.asks.tolist() == [1, 1]
    assert search.state.inner["generation"].tolist() == [0, 0]
    search.run(1)
    assert search.state.asks.tolist() == [0, 0]
    assert search.state.inner["generation"].tolist() == [1, 1]


def test_a_gathered_generation_is_that_of_a_large_population() -> None:
    space, rows = normal(), 8
    small = Search(Restarts(inner="cma", parameters={"population": rows}), space, targets=(0,))
    small.state.wanted[:] = 3
    latents = torch.cat(small.run(3), dim=1)
    large = Search(CMA(population=3 * rows), space, targets=(0,))
    large.tell(latents, large.scores(latents))
    for name, tensor in small.state.inner.items():
        assert torch.equal(tensor, getattr(large.state, name)), name


def test_a_run_starts_at_the_best_sample() -> None:
    search = Search(Restarts(inner="snes"), normal(), targets=(0,), score=level)
    search.run(FLAT)
    search.score = slope
    latents = search.run(1)[-1][0]
    assert torch.equal(search.state.inner["mean"][0], latents[latents[:, 0].argmax()])
    assert torch.equal(search.state.inner["sigma"], torch.ones(1, 6))


def test_samples_that_fail_are_drawn_again() -> None:
    search = Search(Restarts(inner="snes"), normal(), targets=(0,), score=level)
    search.run(FLAT)
    latents = search.ask()
    search.tell(latents, torch.full(latents.shape[:2], torch.nan))
    assert search.state.fresh.all()
    assert not torch.equal(search.ask(), latents)


def test_every_target_restarts_on_its_own() -> None:
    def score(latents: torch.Tensor, target: int) -> torch.Tensor:
        return (level if target == 1 else slope)(latents, target)

    search = Search(Restarts(inner="snes"), normal(), score=score)
    search.run(20)
    assert search.state.runs[[0, 2]].tolist() == [0, 0]
    assert search.state.runs[1] > 1
    assert search.state.wanted.tolist()[0] == 1


def test_rows_in_one_place_end_a_run() -> None:
    def anything(latents: torch.Tensor, _: int) -> torch.Tensor:
        return torch.linspace(0, 1, len(latents))

    patient = Restarts(inner="snes", parameters={"sigma": 1e-7}, patience=10**6)
    search = Search(patient, normal(), targets=(0,), score=anything)
    search.run(1)
    assert search.state.runs.tolist() == [1]
    other = Restarts(inner="snes", parameters={"sigma": 1e-3}, patience=10**6)
    search = Search(other, normal(), targets=(0,), score=anything)
    search.run(1)
    assert search.state.runs.tolist() == [0]


def test_patience_counts_generations_without_a_better_score() -> None:
    scores = iter([1.0, 2.0, 2.0, 1.0, 2.0])

    def score(latents: torch.Tensor, _: int) -> torch.Tensor:
        top = next(scores)
        return torch.linspace(0, top, len(latents))

    search = Search(Restarts(inner="snes", patience=3), normal(), targets=(0,), score=score)
    search.run(4)
    assert search.state.runs.tolist() == [0]
    search.run(1)
    assert search.state.runs.tolist() == [1]


def test_populations_grow_no_further_than_told() -> None:
    search = Search(Restarts(inner="snes", growth=3), normal(), targets=(0,), score=level)
    search.run(40)
    assert search.state.runs > 3
    assert search.state.wanted.tolist() == [3]


def test_bipop_spends_alike_on_large_and_small_populations() -> None:
    optimizer = Restarts(inner="snes", scheme="bipop", growth=8)
    search = Search(optimizer, normal(), targets=(0,), score=level)
    seen: dict[bool, set[int]] = {True: set(), False: set()}
    first_steps = []
    for _ in range(300):
        was_fresh = bool(search.state.fresh)
        search.run(1)
        seen[bool(search.state.small)].add(int(search.state.wanted))
        if was_fresh and bool(search.state.small):
            first_steps.append(float(search.state.inner["sigma"].amax()))
    large, small = search.state.spent[0].tolist()
    assert 0.6 < large / small < 1.6
    assert seen[False] == {1, 2, 4, 8}
    assert max(seen[True]) <= 4
    assert min(first_steps) < 0.1 < max(first_steps) <= 1


def test_solves_what_one_climb_does_not(rows_to_reach: Any) -> None:
    def rastrigin(x: torch.Tensor) -> torch.Tensor:
        return (10 * torch.cos(2 * torch.pi * x) - x.square() - 10).sum(-1)

    space = build_space(SpaceSpec("box", 3, low=(-5.0,), high=(5.0,)))
    budget = 12_000
    stuck = rows_to_reach(
        "cma", space, rastrigin, budget=3_000, target=-1e-3, targets=4, start="sample"
    )
    assert sum(rows > 3_000 for rows in stuck) >= 3
    solved = rows_to_reach("restarts", space, rastrigin, budget=budget, target=-1e-3, targets=4)
    assert max(solved) < budget


def test_explains_bad_parameters() -> None:
    with pytest.raises(InvalidSpec, match="cma has no parameter 'sigm'"):
        Restarts(parameters={"sigm": 1.0})
    for parameters, message in (
        ({"inner": "pso"}, "inner"),
        ({"parameters": {"sigma": 0}}, "sigma must be positive"),
        ({"growth": 0}, "growth must be at least 1"),
        ({"patience": 0}, "patience must be at least 1"),
        ({"tolerance": 0.0}, "tolerance must be positive"),
    ):
        with pytest.raises(InvalidSpec, match=message):
            plugins.optimizers.build("restarts", parameters)


def test_the_strategy_inside_checks_the_space_too() -> None:
    with pytest.raises(Unsupported, match="max_bytes = 1000"):
        Restarts(parameters={"max_bytes": 1000}).check(normal(100))


def test_a_snapshot_of_another_inner_state_is_named() -> None:
    search = Search(Restarts(inner="snes"), normal())
    del search.state.inner["sigma"]
    data = states.to_bytes(search.state)
    with pytest.raises(StoreCorrupt, match="no strategy has a state of generation, mean"):
        states.from_bytes(Restarts.state_type, data, torch.device("cpu"))
