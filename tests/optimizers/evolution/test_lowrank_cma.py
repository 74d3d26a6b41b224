"""Low-rank CMA-ES learns directions that the diagonal variant cannot, in linear memory."""

import math
from collections.abc import Callable
from statistics import median
from typing import Any

import pytest
import torch

from blackbox_am.core import state as states
from blackbox_am.core.space import build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.optimizers._weights import rates
from blackbox_am.optimizers.evolution.lowrank_cma import LowRankCMA, LowRankRates
from blackbox_am.optimizers.evolution.sep_cma import SepCMA
from blackbox_am.testing.searches import Search, copy_of, finite

Rows = Callable[..., list[float]]
Hill = Callable[[torch.Tensor], torch.Tensor]
TEXTBOOK = {"sigma": 1.0, "mean_learning_rate": 1.0, "start": "sample"}


def rotated(hill: Hill, dim: int) -> Hill:
    """`hill` behind a fixed rotation."""
    noise = torch.randn(dim, dim, generator=torch.Generator().manual_seed(99), dtype=torch.float64)
    rotation = torch.linalg.qr(noise)[0]
    return lambda x: hill(x.to(torch.float64) @ rotation)


def cigar(x: torch.Tensor) -> torch.Tensor:
    return -(x[..., 0].square() + 1e6 * x[..., 1:].square().sum(-1))


def ellipsoid(x: torch.Tensor) -> torch.Tensor:
    return -(10 ** torch.linspace(0, 3, x.shape[-1], dtype=x.dtype) * x.square()).sum(-1)


@pytest.mark.parametrize(
    ("hill", "dim", "budget"),
    [
        (cigar, 32, 13_000),
        (ellipsoid, 24, 16_000),
        pytest.param(cigar, 128, 50_000, marks=pytest.mark.slow),
        pytest.param(ellipsoid, 64, 60_000, marks=pytest.mark.slow),
    ],
    ids=["cigar-32", "ellipsoid-24", "cigar-128", "ellipsoid-64"],
)
@pytest.mark.slow
def test_learns_what_the_diagonal_cannot(
    hill: Hill, dim: int, budget: int, rows_to_reach: Rows
) -> None:
    space = build_space(SpaceSpec("normal", dim))
    options = {"budget": budget, "targets": 3, **TEXTBOOK}
    ours = rows_to_reach("lowrank_cma", space, rotated(hill, dim), **options)
    assert max(ours) < budget
    assert min(rows_to_reach("sep_cma", space, rotated(hill, dim), **options)) == math.inf


def test_loses_little_to_the_diagonal_where_there_is_no_correlation(
    hills: Any, rows_to_reach: Rows
) -> None:
    space = build_space(SpaceSpec("normal", 32))
    needed = [
        median(rows_to_reach(name, space, hills["sphere"], budget=20_000, **TEXTBOOK))
        for name in ("lowrank_cma", "sep_cma")
    ]
    assert needed[0] <= 1.3 * needed[1]


@pytest.mark.slow
def test_rotating_a_hill_of_few_directions_changes_nothing(rows_to_reach: Rows) -> None:
    space = build_space(SpaceSpec("normal", 16))
    needed = [
        median(rows_to_reach("lowrank_cma", space, hill, budget=20_000, targets=9, **TEXTBOOK))
        for hill in (cigar, rotated(cigar, 16))
    ]
    assert 0.75 < needed[1] / needed[0] < 1.33


def test_climbs_inside_bounds_and_on_a_sphere(hills: Any, rows_to_reach: Rows) -> None:
    box = build_space(SpaceSpec("box", 12, low=(-2.0,), high=(10.0,)))
    assert max(rows_to_reach("lowrank_cma", box, hills["sphere"], budget=9_000)) < 9_000
    corner = build_space(SpaceSpec("box", 10, low=(0.0,), high=(1.0,)))
    needed = rows_to_reach("lowrank_cma", corner, lambda x: (x - 1).sum(-1), budget=4_000)
    assert max(needed) < 4_000
    sphere = build_space(SpaceSpec("sphere", 32))
    needed = rows_to_reach(
        "lowrank_cma", sphere, lambda x: x[..., 0] / 32**0.5 - 1, target=-1e-3, budget=8_000
    )
    assert max(needed) < 8_000


def test_the_model_has_the_variances_and_the_leading_direction_of_the_full_update() -> None:
    """Against the covariance that `cma` would go to from the same state, at the same rates."""
    space = build_space(SpaceSpec("normal", 7))
    optimizer = LowRankCMA(population=8, directions=2, mean_learning_rate=1.0)
    search = Search(optimizer, space, targets=(0,), dtype=torch.float64, score=_slanted)
    search.run(20)
    before = copy_of(search.state)
    latents = search.ask()
    scores = search.scores(latents)
    search.tell(latents, scores)
    state = search.state
    assert 0.75 < state.sigma / before.sigma < 1.5  # no power of two moved between it and S

    r = rates(8, 7, active=True, diagonal=True, directions=2)
    old = _covariance(before)
    steps = (latents[0] - before.mean[0]) / before.sigma[0]
    order = scores[0].argsort(descending=True)
    steps = steps[order]
    w = torch.tensor(r.weights, dtype=torch.float64)
    lengths = (torch.linalg.solve(old, steps.T).T * steps).sum(-1)
    added = torch.where(w < 0, w * 7 / lengths, w)
    drift = state.path_c[0]
    full = (
        (1 - r.c_1 - r.c_mu * w.sum()) * old
        + r.c_1 * torch.outer(drift, drift)
        + r.c_mu * (added.unsqueeze(-1) * steps).T @ steps
    )
    found = _covariance(state)
    torch.testing.assert_close(found.diagonal(), full.diagonal(), rtol=1e-8, atol=0)
    scale = before.deviations[0]
    leading = torch.linalg.eigh(full / torch.outer(scale, scale))[1][:, -1]
    assert (state.axes[0] @ leading).square().sum().item() == pytest.approx(1)
    identity = torch.eye(2, dtype=torch.float64)
    torch.testing.assert_close(state.axes[0] @ state.axes[0].T, identity)


def _slanted(x: torch.Tensor, target: int) -> torch.Tensor:
    del target
    return -(x.sum(-1) ** 2 + 100 * (x - x.mean(-1, keepdim=True)).square().sum(-1))


def _covariance(state: Any) -> torch.Tensor:
    low = torch.eye(7, dtype=torch.float64) + state.axes[0].T * state.excess[0] @ state.axes[0]
    return torch.outer(state.deviations[0], state.deviations[0]) * low


def test_rates_are_those_of_the_diagonal_over_the_numbers_to_be_learnt() -> None:
    few = LowRankRates(9)(20, 100, active=True, diagonal=True)
    none = rates(20, 100, active=True, diagonal=True)
    assert few.c_1 == pytest.approx(none.c_1 / 4)
    assert few.c_mu == pytest.approx(none.c_mu / 4)
    many = LowRankRates(100)(20, 100, active=True, diagonal=True)
    assert many.c_1 == rates(20, 100, active=True, diagonal=False).c_1


def test_state_is_linear_in_the_dimension() -> None:
    sizes = []
    for dim in (1024, 4096):
        search = Search(LowRankCMA(directions=8), build_space(SpaceSpec("normal", dim)), (0, 1))
        search.run(1)
        assert finite(search.state)
        sizes.append(sum(t.numel() for t in states.arrays(search.state).values()))
    assert sizes[1] < 4.01 * sizes[0]
    assert sizes[1] < 2 * 4096 * (5 + 8)


def test_takes_no_more_directions_than_dimensions() -> None:
    space = build_space(SpaceSpec("normal", 3))
    search = Search(LowRankCMA(directions=8), space)
    search.run(50)
    assert search.state.axes.shape == (3, 3, 3)
    assert finite(search.state)
    with pytest.raises(ValueError, match="directions"):
        LowRankCMA(directions=0)


def _stays_sound(generations: int) -> None:
    space = build_space(SpaceSpec("normal", 16))
    for score in (
        lambda x, _: -x.square().sum(-1),
        lambda x, _: x[..., 0],
        lambda x, _: cigar(x),
        lambda x, _: torch.zeros(len(x)),
    ):
        search = Search(LowRankCMA(), space, targets=(0,), score=score)
        for _ in range(generations):
            latents = search.ask()
            search.tell(latents, search.scores(latents))
        assert finite(search.state)
        assert search.ask().isfinite().all()
        assert (search.state.deviations > 0).all()


@pytest.mark.slow
def test_single_precision_stays_sound() -> None:
    _stays_sound(400)


@pytest.mark.slow
def test_single_precision_stays_sound_for_long() -> None:
    _stays_sound(2_500)


def test_a_state_without_correlation_is_that_of_sep_cma() -> None:
    space = build_space(SpaceSpec("normal", 12))
    means = []
    for optimizer in (LowRankCMA(population=10), SepCMA(population=10)):
        search = Search(optimizer, space, dtype=torch.float64)
        search.run(1)
        means.append(search.state.mean)
    torch.testing.assert_close(*means)
