"""Cholesky CMA-ES: its update of the factor, its constants, and tops it finds."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from blackbox_am.core.space import build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.errors import Unsupported
from blackbox_am.optimizers.evolution.cholesky_cma import (
    CholeskyCMA,
    add_direction,
    learning_rate,
    published_rates,
)
from blackbox_am.testing.searches import Search, finite

Rows = Callable[..., list[float]]
FROM_A_SAMPLE = {"sigma": 1.0, "start": "sample"}


def test_adds_a_direction_to_the_covariance() -> None:
    torch.manual_seed(0)
    factor = torch.randn(6, 6, dtype=torch.float64)
    inverse = torch.linalg.inv(factor)
    covariance = factor.T @ factor
    for c_1 in (0.01, 0.3):
        path = torch.randn(6, dtype=torch.float64)
        add_direction(factor, inverse, path, c_1)
        covariance = (1 - c_1) * covariance + c_1 * torch.outer(path, path)
        torch.testing.assert_close(factor.T @ factor, covariance)
        torch.testing.assert_close(inverse @ factor, torch.eye(6, dtype=torch.float64))


def test_no_direction_is_no_division_by_zero() -> None:
    factor, inverse = torch.eye(3), torch.eye(3)
    add_direction(factor, inverse, torch.zeros(3), 0.1)
    torch.testing.assert_close(factor, math.sqrt(0.9) * torch.eye(3))
    torch.testing.assert_close(inverse, torch.eye(3) / math.sqrt(0.9))


@pytest.mark.parametrize(("dim", "population"), [(256, 28), (4096, 40)])
def test_published_constants(dim: int, population: int) -> None:
    assert CholeskyCMA().population_size(build_space(SpaceSpec("normal", dim))) == population
    mu = population // 2
    raw = [math.log(mu + 0.5) - math.log(i) for i in range(1, mu + 1)]
    weights = [w / sum(raw) for w in raw]
    mu_eff = 1 / sum(w * w for w in weights)
    found = published_rates(population, dim, active=False, diagonal=False)
    assert found.weights[:mu] == pytest.approx(weights)
    assert found.c_c == pytest.approx(4 / (dim + 4))
    c_s = math.sqrt(mu_eff) / (math.sqrt(mu_eff) + math.sqrt(dim))
    assert found.c_sigma == pytest.approx(c_s)
    damping = 1 + c_s + 2 * max(0, math.sqrt((mu_eff - 1) / (dim + 1)) - 1)
    assert found.d_sigma == pytest.approx(damping)
    assert learning_rate(dim) == pytest.approx(2 / (dim + math.sqrt(2)) ** 2)


def test_learns_every_tenth_generation() -> None:
    space = build_space(SpaceSpec("normal", 6))
    search = Search(CholeskyCMA(), space, dtype=torch.float64)
    search.run(9)
    identity = torch.eye(6, dtype=torch.float64).expand(3, 6, 6)
    assert torch.equal(search.state.factor, identity)
    search.run(1)
    assert not torch.equal(search.state.factor, identity)
    torch.testing.assert_close(search.state.factor @ search.state.inverse, identity)


@pytest.mark.parametrize(("dim", "budget"), [(16, 3_000), (64, 8_000)])
def test_reaches_the_top(dim: int, budget: int, hills: Any, rows_to_reach: Rows) -> None:
    space = build_space(SpaceSpec("normal", dim))
    needed = rows_to_reach("cholesky_cma", space, hills["sphere"], budget=budget, **FROM_A_SAMPLE)
    assert max(needed) < budget


@pytest.mark.slow
def test_learns_badly_scaled_axes(rows_to_reach: Rows) -> None:
    """Axes 1 to 100 long: a search that learnt nothing would need far more rows."""
    space = build_space(SpaceSpec("normal", 8))
    scales = 10 ** torch.linspace(0, 4, 8, dtype=torch.float64)
    needed = {
        every: rows_to_reach(
            "cholesky_cma",
            space,
            lambda x: -(scales * x.square()).sum(-1),
            budget=30_000,
            targets=2,
            update_every=every,
            **FROM_A_SAMPLE,
        )
        for every in (10, 10**6)
    }
    assert max(needed[10]) < 20_000
    assert min(needed[10**6]) > 25_000


def test_finds_the_corner_of_a_box(rows_to_reach: Rows) -> None:
    space = build_space(SpaceSpec("box", 10, low=(0.0,), high=(1.0,)))
    needed = rows_to_reach("cholesky_cma", space, lambda x: (x - 1).sum(-1), budget=4_000)
    assert max(needed) < 4_000


def _stays_sound(generations: int) -> None:
    space = build_space(SpaceSpec("normal", 8))
    for score in (
        lambda x, _: -x.square().sum(-1),
        lambda x, _: x[..., 0],
        lambda x, _: torch.zeros(len(x)),
    ):
        search = Search(CholeskyCMA(update_every=1), space, targets=(0,), score=score)
        for _ in range(generations):
            latents = search.ask()
            search.tell(latents, search.scores(latents))
        assert finite(search.state)
        assert search.ask().isfinite().all()
        product = search.state.factor @ search.state.inverse
        assert (product - torch.eye(8)).abs().max() < 1e-2


@pytest.mark.slow
def test_single_precision_stays_sound() -> None:
    _stays_sound(600)


@pytest.mark.slow
def test_single_precision_stays_sound_for_long() -> None:
    _stays_sound(10_000)


def test_refuses_what_would_not_fit() -> None:
    space = build_space(SpaceSpec("normal", 1000))
    with pytest.raises(Unsupported, match=r"cholesky_cma needs 16000000 bytes.*use `snes`"):
        CholeskyCMA(max_bytes=10**6).check(space)
