"""pycma behind the contract: itself, undisturbed and quiet."""

import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cma
import numpy as np
import pytest
import torch

from blackbox_am.core.space import build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.errors import Unsupported
from blackbox_am.optimizers.libraries.pycma import MIN_STEP, PyCMA
from blackbox_am.testing.optimizers import OptimizerContract
from blackbox_am.testing.searches import Search

Rows = Callable[..., list[float]]
NORMAL = SpaceSpec("normal", 12)
VARIANTS = ["full", "sep", "vd", "vkd"]


@pytest.mark.slow
class TestSeparable(OptimizerContract):
    @pytest.fixture
    def optimizer(self) -> PyCMA:
        return PyCMA(variant="sep", population=5, start="sample")


@pytest.mark.slow
class TestRestricted(OptimizerContract):
    @pytest.fixture
    def optimizer(self) -> PyCMA:
        return PyCMA(variant="vkd", active=False)


@pytest.mark.parametrize("variant", VARIANTS)
def test_it_is_pycma_to_the_last_bit(variant: str) -> None:
    """The same points as of pycma on its own, fed by the same numbers."""
    space = build_space(NORMAL)
    search = Search(PyCMA(variant=variant, population=8), space, targets=(0,), dtype=torch.float64)
    numbers = [np.random.default_rng(0)]
    options: dict[str, Any] = {
        "popsize": 8,
        "randn": lambda *shape: numbers[0].standard_normal(shape),
        "seed": math.nan,
        "verbose": -9,
        "CMA_diagonal": variant == "sep",
    }
    sampler = {
        "vd": cma.restricted_gaussian_sampler.GaussVDSampler,
        "vkd": cma.restricted_gaussian_sampler.GaussVkDSampler,
    }.get(variant)
    if sampler is not None:
        options = sampler.extend_cma_options(options)
        options["CMA_sampler_options"] = {"randn": options["randn"]}
    numbers[0] = np.random.default_rng(search.stream("init").seeds[0])
    theirs = cma.CMAEvolutionStrategy(np.zeros(12), 0.5, options)
    for _ in range(40):
        numbers[0] = np.random.default_rng(search.stream("ask").seeds[0])
        points = theirs.ask()
        latents = search.ask()
        assert np.array_equal(latents[0].numpy(), np.stack(points))
        scores = search.scores(latents)
        theirs.tell(points, (-scores[0]).tolist())
        search.tell(latents, scores)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(
    "spec",
    [
        SpaceSpec("box", 12, low=(-2.0,), high=(10.0,)),
        SpaceSpec(
            "product",
            12,
            parts=(SpaceSpec("normal", 8), SpaceSpec("box", 4, low=(-1.0,), high=(2.0,))),
        ),
    ],
    ids=["box", "product"],
)
def test_climbs_inside_bounds(
    variant: str, spec: SpaceSpec, hills: Any, rows_to_reach: Rows
) -> None:
    needed = rows_to_reach(
        "pycma", build_space(spec), hills["sphere"], budget=8_000, targets=1, variant=variant
    )
    assert needed[0] < 8_000


def test_finds_the_corner_of_a_box(rows_to_reach: Rows) -> None:
    space = build_space(SpaceSpec("box", 10, low=(0.0,), high=(1.0,)))
    needed = rows_to_reach("pycma", space, lambda x: (x - 1).sum(-1), budget=4_000, targets=2)
    assert max(needed) < 4_000


def test_climbs_on_a_sphere(rows_to_reach: Rows) -> None:
    space = build_space(SpaceSpec("sphere", 32))
    hill = lambda x: x[..., 0] / 32**0.5 - 1  # noqa: E731
    needed = rows_to_reach("pycma", space, hill, target=-1e-4, budget=10_000, targets=2)
    assert max(needed) < 10_000


def test_two_searches_side_by_side_draw_what_they_draw_alone() -> None:
    """pycma by itself seeds numpy's global generator, so that a second search changes a first."""
    space = build_space(NORMAL)
    alone = torch.stack(Search(PyCMA(), space, seed=1).run(6))
    one, other = Search(PyCMA(), space, seed=1), Search(PyCMA(), space, seed=2)
    for _ in range(6):
        one.run(1)
        other.run(1)
    assert torch.equal(torch.stack(one.told), alone)


def test_it_writes_and_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for variant in VARIANTS:
        Search(PyCMA(variant=variant), build_space(NORMAL), targets=(0,)).run(60)
    assert not list(tmp_path.iterdir())
    assert capfd.readouterr() == ("", "")


def _tell(search: Search, scores: torch.Tensor) -> None:
    search.tell(search.space.project(search.ask()), scores)


def test_failed_rows_hardly_move_it() -> None:
    """Half of the rows lost at random costs rows, and takes the search nowhere else."""
    space = build_space(NORMAL)
    reached = []
    for lost in (0, 10):
        search = Search(PyCMA(population=20), space, targets=(0,), dtype=torch.float64)
        numbers = torch.Generator().manual_seed(3)
        for _ in range(150):
            scores = search.scores(search.ask())
            scores[:, torch.randperm(20, generator=numbers)[:lost]] = torch.nan
            _tell(search, scores)
        reached.append(search.scores(search.ask()).mean().item())
    assert reached[0] > -1e-6
    assert reached[1] > -1e-3


@pytest.mark.parametrize("left", [0, 1])
def test_a_generation_that_cannot_be_ranked_teaches_nothing(left: int) -> None:
    search = Search(PyCMA(), build_space(NORMAL), targets=(0,))
    search.run(3)
    strategy = search.state.sessions[0]._es
    before = strategy.sigma, strategy.mean.copy()
    latents = search.ask()
    scores = search.scores(latents)
    scores[:, left:] = torch.nan
    search.tell(latents, scores)
    assert strategy.sigma == before[0]
    assert np.array_equal(strategy.mean, before[1])
    assert not torch.equal(search.ask(), latents), "the next generation is drawn anew"
    search.run(3)


def test_rows_that_it_did_not_propose_count_as_failed() -> None:
    search = Search(PyCMA(), build_space(NORMAL), targets=(0,))
    heard = []
    search.state.sessions[0].learn = heard.append  # type: ignore[method-assign]
    latents = search.ask()
    scores = search.scores(latents)
    latents[0, 3] += 1e-3
    search.tell(latents, scores)
    assert np.flatnonzero(np.isnan(heard[0])).tolist() == [3]


def test_its_stop_conditions_are_ignored_and_steps_stay_effective() -> None:
    search = Search(PyCMA(), build_space(SpaceSpec("normal", 3)), targets=(0,))
    search.run(400)
    strategy = search.state.sessions[0]._es
    assert strategy.stop(), "it would have stopped long ago"
    assert strategy.stds.max() >= 0.99 * MIN_STEP
    latents = search.ask()
    assert len(latents[0].unique(dim=0)) > 1


@pytest.mark.slow
def test_an_endless_slope_does_not_overflow() -> None:
    search = Search(PyCMA(), build_space(SpaceSpec("normal", 2)), targets=(0,))
    search.score = lambda x, _: x.double().sum(-1)
    search.run(500)
    assert search.ask().isfinite().all()
    assert (search.state.sessions[0]._es.stds <= 1.01e6).all()


@pytest.mark.parametrize("broken", ["ask", "tell", "numbers"])
def test_it_begins_again_where_it_breaks_down(
    broken: str, caplog: pytest.LogCaptureFixture
) -> None:
    def run() -> torch.Tensor:
        search = Search(PyCMA(), build_space(NORMAL))
        search.run(10)
        strategy = search.state.sessions[1]._es
        if broken == "numbers":
            strategy.mean[0] = math.nan
        else:
            setattr(strategy, broken, _fails)
        search.run(30)
        assert search.state.sessions[1]._es is not strategy
        return torch.stack(search.told)

    with caplog.at_level(logging.WARNING):
        first = run()
    assert "pycma broke down" in caplog.text
    assert first.isfinite().all()
    assert torch.equal(first, run()), "it begins again from its position"
    undisturbed = torch.stack(Search(PyCMA(), build_space(NORMAL)).run(40))
    assert torch.equal(first[:, [0, 2]], undisturbed[:, [0, 2]]), "the other targets go on"


def _fails(*_: object) -> None:
    raise np.linalg.LinAlgError("eigenvalues did not converge")


@pytest.mark.parametrize(
    ("parameters", "dim", "message"),
    [
        ({"variant": "vd"}, 9, "10 dimensions or more, and the space has 9; use the variant full"),
        ({"max_bytes": 2**20}, 512, "pycma needs 12582912 bytes.*`sep_cma`"),
    ],
)
def test_refuses_what_cannot_work(parameters: dict[str, Any], dim: int, message: str) -> None:
    with pytest.raises(Unsupported, match=message):
        PyCMA(**parameters).check(build_space(SpaceSpec("normal", dim)))


def test_memory_is_that_of_all_targets() -> None:
    optimizer = PyCMA(max_bytes=2**20)
    space = build_space(SpaceSpec("normal", 100))
    optimizer.check(space)
    with pytest.raises(Unsupported, match="for 3 targets"):
        Search(optimizer, space)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"population": 3}, "population must be at least 4"),
        ({"sigma": 0.0}, "sigma must be positive"),
        ({"mean_learning_rate": -1.0}, "mean_learning_rate must be positive"),
        ({"max_bytes": 0}, "max_bytes must be positive"),
    ],
)
def test_bad_parameters_are_explained(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PyCMA(**parameters)
