"""Exponential NES: its exponential, tops it finds, and the shapes it learns."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from blackbox_am.core.space import build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.errors import Unsupported
from blackbox_am.optimizers.evolution._ranks import log_utilities
from blackbox_am.optimizers.evolution.xnes import XNES, shape_rate
from blackbox_am.testing.searches import Search, finite

Rows = Callable[..., list[float]]


@pytest.mark.parametrize(("dim", "population"), [(4, 8), (9, 6)])
def test_one_generation_by_hand(dim: int, population: int) -> None:
    """The exponential on P columns equals that of the whole D x D gradient."""
    space = build_space(SpaceSpec("normal", dim))
    optimizer = XNES(population=population, sigma_learning_rate=0.4, shape_learning_rate=0.06)
    search = Search(optimizer, space, targets=(0,), dtype=torch.float64)
    search.run(3)
    before = replace(search.state)
    latents = search.ask()
    scores = search.scores(latents)
    search.tell(latents, scores)

    shape, sigma, mean = before.shape[0], before.sigma[0], before.mean[0]
    steps = torch.linalg.solve(shape, (latents[0] - mean).T / sigma).T
    centred, u = (u[0] for u in log_utilities(scores, torch.float64))
    identity = torch.eye(dim, dtype=torch.float64)
    g_m = sum(u[k] * (torch.outer(steps[k], steps[k]) - identity) for k in range(population))
    g_sigma = g_m.trace() / dim
    g_b = g_m - g_sigma * identity
    torch.testing.assert_close(search.state.mean[0], mean + sigma * shape @ (centred @ steps))
    torch.testing.assert_close(search.state.sigma[0], sigma * torch.exp(0.2 * g_sigma))
    torch.testing.assert_close(search.state.shape[0], shape @ torch.linalg.matrix_exp(0.03 * g_b))


def test_shape_keeps_its_determinant() -> None:
    space = build_space(SpaceSpec("normal", 8))
    search = Search(XNES(), space, dtype=torch.float64)
    search.run(200)
    assert torch.linalg.det(search.state.shape).tolist() == pytest.approx([1.0] * 3)


@pytest.mark.parametrize("dim", [1, 2])
def test_shape_survives_steps_that_are_cut_short(dim: int) -> None:
    """So few dimensions learn so fast that the gradient is limited."""
    space = build_space(SpaceSpec("sphere", dim))
    search = Search(XNES(), space, dtype=torch.float64)
    search.run(100)
    assert torch.linalg.det(search.state.shape).tolist() == pytest.approx([1.0] * 3, rel=1e-3)


def test_published_rate() -> None:
    assert shape_rate(16) == pytest.approx((9 + 3 * math.log(16)) / (5 * 16 * 4))


@pytest.mark.parametrize(
    ("hill", "dim", "budget"),
    [
        ("sphere", 16, 8_000),
        pytest.param("ellipsoid", 16, 16_000, marks=pytest.mark.slow),
        pytest.param("ellipsoid", 32, 70_000, marks=pytest.mark.slow),
    ],
)
def test_reaches_the_top(hill: str, dim: int, budget: int, hills: Any, rows_to_reach: Rows) -> None:
    space = build_space(SpaceSpec("normal", dim))
    needed = rows_to_reach(
        "xnes", space, hills[hill], budget=budget, targets=3, sigma=1.0, start="sample"
    )
    assert max(needed) < budget


def test_learns_correlations() -> None:
    """A ridge along the diagonal: the shape grows along it, where no axis lies."""
    space = build_space(SpaceSpec("normal", 4))
    along = torch.full((4,), 0.5, dtype=torch.float64)

    def ridge(x: torch.Tensor, _: int) -> torch.Tensor:
        x = x.to(torch.float64)
        return 99 * (x @ along).square() - 100 * x.square().sum(-1)

    search = Search(XNES(start="sample"), space, score=ridge, dtype=torch.float64)
    search.run(150)
    for shape in search.state.shape:
        covariance = shape @ shape.T
        values, vectors = torch.linalg.eigh(covariance)
        assert values[-1] > 10 * values[-2]
        assert (vectors[:, -1] @ along).abs() > 0.99


def test_climbs_on_a_sphere_and_into_a_corner(rows_to_reach: Rows) -> None:
    sphere = build_space(SpaceSpec("sphere", 32))
    needed = rows_to_reach(
        "xnes", sphere, lambda x: x[..., 0] / 32**0.5 - 1, target=-1e-2, budget=1_500
    )
    assert max(needed) < 1_500
    box = build_space(SpaceSpec("box", 10, low=(0.0,), high=(1.0,)))
    needed = rows_to_reach("xnes", box, lambda x: (x - 1).sum(-1), target=-1e-2, budget=4_000)
    assert max(needed) < 4_000


def test_a_shape_that_cannot_be_inverted_is_made_round_again() -> None:
    space = build_space(SpaceSpec("normal", 5))
    search = Search(XNES(), space, targets=(0, 1))
    search.run(3)
    search.state.shape[1, 0] = search.state.shape[1, 1]
    kept = search.state.shape[0].clone()
    search.run(1)
    assert finite(search.state)
    assert (search.state.shape[1] - torch.eye(5)).abs().max() < 0.5
    assert (search.state.shape[0] - kept).abs().max() < 0.5
    search.run(20)
    assert finite(search.state)


@pytest.mark.slow
@pytest.mark.parametrize("score", [lambda x, _: x[..., 0], lambda x, _: torch.zeros(len(x))])
def test_single_precision_stays_sound(score: Any) -> None:
    space = build_space(SpaceSpec("normal", 8))
    search = Search(XNES(), space, targets=(0,), score=score)
    for _ in range(1_500):
        latents = search.ask()
        search.tell(latents, search.scores(latents))
    assert finite(search.state)
    assert search.ask().isfinite().all()


def test_refuses_what_would_not_fit() -> None:
    space = build_space(SpaceSpec("normal", 1000))
    with pytest.raises(Unsupported, match=r"xnes needs 20000000 bytes.*use `snes`"):
        XNES(max_bytes=10**6).check(space)
    with pytest.raises(Unsupported, match="for 3 targets"):
        Search(XNES(max_bytes=2 * 10**7), space)
