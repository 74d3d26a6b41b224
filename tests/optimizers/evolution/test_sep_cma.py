"""Separable CMA-ES finds tops, as fast as the reference, and stays sound."""

from collections.abc import Callable
from statistics import median
from typing import Any

import pytest
import torch

from blackbox_am.core.space import build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.optimizers.evolution.sep_cma import SepCMA
from blackbox_am.testing.searches import Search, finite

Rows = Callable[..., list[float]]
TEXTBOOK = {"sigma": 1.0, "mean_learning_rate": 1.0, "start": "sample"}


@pytest.mark.filterwarnings("ignore:elements of z2:UserWarning")  # pycma's first generations
@pytest.mark.parametrize(
    ("hill", "dim", "budget"),
    [
        ("sphere", 16, 3_000),
        ("sphere", 64, 8_000),
        ("ellipsoid", 16, 6_000),
        pytest.param("ellipsoid", 64, 25_000, marks=pytest.mark.slow),
    ],
)
def test_no_slower_than_pycma(
    hill: str, dim: int, budget: int, hills: Any, rows_to_reach: Rows, rows_of_pycma: Rows
) -> None:
    space = build_space(SpaceSpec("normal", dim))
    population = SepCMA().population_size(space)
    ours = rows_to_reach("sep_cma", space, hills[hill], budget=budget, **TEXTBOOK)
    theirs = rows_of_pycma(
        dim, hills[hill], population=population, diagonal=True, spread=1.0, budget=budget
    )
    assert median(ours) <= 1.3 * median(theirs)


@pytest.mark.parametrize(
    "dtype", [torch.float32, pytest.param(torch.float64, marks=pytest.mark.slow)]
)
def test_climbs_in_512_dimensions(dtype: torch.dtype, hills: Any, rows_to_reach: Rows) -> None:
    space = build_space(SpaceSpec("normal", 512))
    needed = rows_to_reach(
        "sep_cma",
        space,
        hills["sphere"],
        target=-1e-3,
        budget=45_000,
        targets=2,
        dtype=dtype,
        **TEXTBOOK,
    )
    assert max(needed) < 45_000


def test_learns_the_scale_of_each_coordinate() -> None:
    space = build_space(SpaceSpec("normal", 8))
    weights = 10 ** torch.linspace(0, 4, 8, dtype=torch.float64)
    search = Search(
        SepCMA(start="sample"),
        space,
        score=lambda x, _: -(weights * x.square()).sum(-1),
        dtype=torch.float64,
    )
    search.run(300)
    learnt = search.state.variances * weights
    assert (learnt.amax(-1) / learnt.amin(-1) < 30).all()


def _stays_sound(generations: int) -> None:
    space = build_space(SpaceSpec("normal", 16))
    for score in (
        lambda x, _: -x.square().sum(-1),
        lambda x, _: x[..., 0],
        lambda x, _: torch.zeros(len(x)),
    ):
        search = Search(SepCMA(), space, targets=(0,), score=score)
        for _ in range(generations):
            latents = search.ask()
            search.tell(latents, search.scores(latents))
        assert finite(search.state)
        assert search.ask().isfinite().all()
        assert (search.state.variances > 0).all()


@pytest.mark.slow
def test_single_precision_stays_sound() -> None:
    _stays_sound(2_000)


@pytest.mark.slow
def test_single_precision_stays_sound_for_long() -> None:
    _stays_sound(10_000)


def test_state_is_linear_in_the_dimension() -> None:
    space = build_space(SpaceSpec("normal", 4096))
    search = Search(SepCMA(), space, targets=(0, 1))
    search.run(1)
    assert sum(t.numel() for t in vars(search.state).values()) < 2 * 5 * 4096


def test_extrapolates_the_mean() -> None:
    space = build_space(SpaceSpec("normal", 8))
    means = []
    for rate in (1.0, 2.0):
        search = Search(SepCMA(mean_learning_rate=rate), space, dtype=torch.float64)
        search.run(1)
        means.append(search.state.mean)
    torch.testing.assert_close(means[1], 2 * means[0])
