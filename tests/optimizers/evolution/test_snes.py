"""Separable NES: one generation by hand, tops it finds, and long runs."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from blackbox_am.core.space import build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.optimizers.evolution._ranks import log_utilities
from blackbox_am.optimizers.evolution.snes import SNES
from blackbox_am.testing.searches import Search, finite

Rows = Callable[..., list[float]]
PAPER = {"sigma": 1.0, "mean_learning_rate": 1.0, "start": "sample"}


def test_one_generation_by_hand() -> None:
    space = build_space(SpaceSpec("normal", 4))
    optimizer = SNES(population=8, sigma=0.7, mean_learning_rate=2.0, sigma_learning_rate=0.3)
    search = Search(optimizer, space, targets=(0,), dtype=torch.float64)
    latents = search.ask()
    scores = search.scores(latents)
    utilities, plain = (u[0].unsqueeze(-1) for u in log_utilities(scores, torch.float64))
    steps = latents[0] / 0.7
    search.tell(latents, scores)
    expected = 2.0 * 0.7 * (utilities * steps).sum(0)
    torch.testing.assert_close(search.state.mean[0], expected)
    growth = (plain * (steps.square() - 1)).sum(0)
    torch.testing.assert_close(search.state.sigma[0], 0.7 * torch.exp(0.15 * growth))


@pytest.mark.parametrize(
    ("hill", "dim", "budget"),
    [
        ("sphere", 16, 5_000),
        ("sphere", 64, 20_000),
        ("ellipsoid", 16, 8_000),
        ("ellipsoid", 64, 28_000),
    ],
)
def test_reaches_the_top(hill: str, dim: int, budget: int, hills: Any, rows_to_reach: Rows) -> None:
    space = build_space(SpaceSpec("normal", dim))
    needed = rows_to_reach("snes", space, hills[hill], budget=budget, targets=2, **PAPER)
    assert max(needed) < budget


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_climbs_in_512_dimensions(dtype: torch.dtype, hills: Any, rows_to_reach: Rows) -> None:
    space = build_space(SpaceSpec("normal", 512))
    needed = rows_to_reach(
        "snes", space, hills["sphere"], target=-180, budget=16_000, targets=2, dtype=dtype, **PAPER
    )
    assert max(needed) < 16_000  # from about 512


def test_finds_the_corner_of_a_box(rows_to_reach: Rows) -> None:
    space = build_space(SpaceSpec("box", 10, low=(0.0,), high=(1.0,)))
    needed = rows_to_reach("snes", space, lambda x: (x - 1).sum(-1), budget=3_000)
    assert max(needed) < 3_000


def test_climbs_on_a_sphere(rows_to_reach: Rows) -> None:
    space = build_space(SpaceSpec("sphere", 32))
    needed = rows_to_reach(
        "snes", space, lambda x: x[..., 0] / 32**0.5 - 1, target=-1e-2, budget=1_000
    )
    assert max(needed) < 1_000


def _stays_sound(generations: int) -> None:
    space = build_space(SpaceSpec("normal", 16))
    for score in (
        lambda x, _: -x.square().sum(-1),
        lambda x, _: x[..., 0],
        lambda x, _: torch.zeros(len(x)),
    ):
        search = Search(SNES(), space, targets=(0,), score=score)
        for _ in range(generations):
            latents = search.ask()
            search.tell(latents, search.scores(latents))
        assert finite(search.state)
        assert search.ask().isfinite().all()
        assert (search.state.sigma > 0).all()


def test_single_precision_stays_sound() -> None:
    _stays_sound(800)


@pytest.mark.slow
def test_single_precision_stays_sound_for_long() -> None:
    _stays_sound(10_000)


def test_a_latent_out_of_nowhere_does_not_take_the_search_with_it() -> None:
    space = build_space(SpaceSpec("normal", 8))
    search = Search(SNES(), space, targets=(0,))
    latents = search.ask()
    latents[0, 3] = 1e6
    scores = torch.zeros(1, 20)
    scores[0, 3] = 1.0
    search.tell(latents, scores)
    assert search.state.mean.norm() < 20
    assert search.state.sigma.max() < 4


def test_state_is_linear_in_the_dimension() -> None:
    space = build_space(SpaceSpec("normal", 4096))
    search = Search(SNES(), space, targets=(0, 1))
    search.run(1)
    assert sum(t.numel() for t in vars(search.state).values()) == 2 * (2 * 4096 + 1)
