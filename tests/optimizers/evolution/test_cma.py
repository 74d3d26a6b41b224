"""CMA-ES finds tops, as fast as the reference, and stays sound."""

import math
from collections.abc import Callable
from dataclasses import replace
from statistics import median
from typing import Any

import pytest
import torch

from blackbox_am.core.rng import Stream
from blackbox_am.core.space import build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.errors import Unsupported
from blackbox_am.optimizers._weights import rates
from blackbox_am.optimizers.evolution.cma import CMA, CMAState
from blackbox_am.testing.searches import Search, copy_of, finite

Rows = Callable[..., list[float]]
TEXTBOOK = {"sigma": 1.0, "mean_learning_rate": 1.0}


@pytest.mark.filterwarnings("ignore:elements of z2:UserWarning")  # pycma's first generations
@pytest.mark.parametrize(
    ("hill", "dim", "start", "budget"),
    [
        ("sphere", 16, "sample", 3_000),
        pytest.param("sphere", 64, "sample", 8_000, marks=pytest.mark.slow),
        pytest.param("ellipsoid", 16, "sample", 12_000, marks=pytest.mark.slow),
        pytest.param("rosenbrock", 16, "prior", 20_000, marks=pytest.mark.slow),
    ],
)
def test_no_slower_than_pycma(
    hill: str,
    dim: int,
    start: str,
    budget: int,
    hills: Any,
    rows_to_reach: Rows,
    rows_of_pycma: Rows,
) -> None:
    space = build_space(SpaceSpec("normal", dim))
    population = CMA().population_size(space)
    ours = rows_to_reach("cma", space, hills[hill], budget=budget, start=start, **TEXTBOOK)
    theirs = rows_of_pycma(
        dim,
        hills[hill],
        population=population,
        diagonal=False,
        spread=float(start == "sample"),
        budget=budget,
    )
    assert median(ours) <= 1.3 * median(theirs)


@pytest.mark.slow
@pytest.mark.parametrize(("hill", "budget"), [("ellipsoid", 120_000), ("rosenbrock", 250_000)])
def test_learns_64_dimensions(hill: str, budget: int, hills: Any, rows_to_reach: Rows) -> None:
    space = build_space(SpaceSpec("normal", 64))
    needed = rows_to_reach("cma", space, hills[hill], budget=budget, targets=3, **TEXTBOOK)
    assert median(needed) < budget


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
def test_climbs_inside_bounds(spec: SpaceSpec, hills: Any, rows_to_reach: Rows) -> None:
    needed = rows_to_reach("cma", build_space(spec), hills["sphere"], budget=6_000)
    assert median(needed) < 6_000


def test_finds_the_corner_of_a_box(rows_to_reach: Rows) -> None:
    space = build_space(SpaceSpec("box", 10, low=(0.0,), high=(1.0,)))
    needed = rows_to_reach("cma", space, lambda x: (x - 1).sum(-1), budget=4_000)
    assert median(needed) < 4_000


def test_climbs_on_a_sphere(rows_to_reach: Rows) -> None:
    space = build_space(SpaceSpec("sphere", 32))
    needed = rows_to_reach(
        "cma", space, lambda x: x[..., 0] / 32**0.5 - 1, target=-1e-4, budget=8_000
    )
    assert median(needed) < 8_000


def _stays_sound(generations: int) -> None:
    """On a peak it passes early, and on a slope without end."""
    space = build_space(SpaceSpec("normal", 16))
    for score in (
        lambda x, _: -x.square().sum(-1),
        lambda x, _: x.sum(-1),
        lambda x, _: torch.zeros(len(x)),
    ):
        search = Search(CMA(), space, targets=(0,), score=score)
        for _ in range(generations):
            latents = search.ask()
            search.tell(latents, search.scores(latents))
        assert finite(search.state)
        assert search.ask().isfinite().all()
        covariance = search.state.covariance
        assert not covariance.triu(1).any()
        torch.linalg.cholesky(covariance)


@pytest.mark.slow
def test_single_precision_stays_sound() -> None:
    _stays_sound(2_000)


@pytest.mark.slow
def test_single_precision_stays_sound_for_long() -> None:
    _stays_sound(10_000)


def test_factor_is_renewed_lazily() -> None:
    space = build_space(SpaceSpec("normal", 512))
    search = Search(CMA(population=8), space, targets=(0,))
    renewed = []
    for _ in range(12):
        before = search.state.factor.clone()
        search.run(1)
        renewed.append(not torch.equal(before, search.state.factor))
    r = rates(8, 512, active=True, diagonal=False)
    interval = math.floor(1 / (10 * 512 * (r.c_1 + r.c_mu)))
    assert 1 < interval < 12
    assert renewed == [(g + 1) % interval == 0 for g in range(12)]
    a = search.state.factor[0]
    torch.testing.assert_close((a @ a.T).tril(), search.state.covariance[0], rtol=1e-4, atol=1e-4)


def test_one_generation_by_hand() -> None:
    """Against equations 36-49 of the tutorial, written out for one target."""
    space = build_space(SpaceSpec("normal", 3))
    optimizer = CMA(population=6, sigma=0.7, mean_learning_rate=1.0)
    state = optimizer.init(space, 1, Stream(0, "init", 0, dtype=torch.float64))
    latents = optimizer.ask(space, state, Stream(0, "ask", 0, dtype=torch.float64))
    scores = latents[..., 0] - latents[..., 1].square()
    told = optimizer.tell(space, copy_of(state), latents, scores)

    order = scores[0].argsort(descending=True)
    y = latents[0, order] / 0.7
    w = torch.tensor([3.5 / i for i in range(1, 7)], dtype=torch.float64).log()
    mu_eff = w[:3].sum() ** 2 / w[:3].square().sum()
    c_1 = 2 / (4.3**2 + mu_eff)
    c_mu = 2 * (0.25 + mu_eff + 1 / mu_eff - 2) / (25 + mu_eff)
    mu_bad = w[3:].sum() ** 2 / w[3:].square().sum()
    bad = min(1 + c_1 / c_mu, 1 + 2 * mu_bad / (mu_eff + 2), (1 - c_1 - c_mu) / (3 * c_mu))
    w = torch.cat([w[:3] / w[:3].sum(), w[3:] / w[3:].sum().abs() * bad])
    move = w[:3] @ y[:3]
    torch.testing.assert_close(told.mean[0], 0.7 * move)
    c_s = (mu_eff + 2) / (8 + mu_eff)
    path = (c_s * (2 - c_s) * mu_eff).sqrt() * move
    torch.testing.assert_close(told.path_sigma[0], path)
    chi = 3**0.5 * (1 - 1 / 12 + 1 / 189)
    d_s = 1 + c_s + 2 * max(0.0, ((mu_eff - 1) / 4) ** 0.5 - 1)
    grown = 0.7 * torch.exp(c_s / d_s * (path.norm() / chi - 1))
    c_c = (4 + mu_eff / 3) / (7 + 2 * mu_eff / 3)
    assert path.norm() / (1 - (1 - c_s) ** 2).sqrt() < (1.4 + 2 / 4) * chi
    drift = (c_c * (2 - c_c) * mu_eff).sqrt() * move
    scaled = torch.cat([w[:3], w[3:] * 3 / y[3:].square().sum(-1)])
    covariance = (
        (1 - c_1 - c_mu * w.sum()) * torch.eye(3, dtype=torch.float64)
        + c_1 * torch.outer(drift, drift)
        + c_mu * (scaled[:, None] * y).T @ y
    )
    unit = told.sigma[0] / grown  # a power of two may have moved from C to sigma
    assert unit.log2().item() == pytest.approx(round(unit.log2().item()), abs=1e-9)
    torch.testing.assert_close(told.covariance[0].tril() * unit**2, covariance.tril())
    torch.testing.assert_close(told.path_c[0] * unit, drift)


def test_damaged_covariance_is_mended() -> None:
    space = build_space(SpaceSpec("normal", 6))
    search = Search(CMA(), space, targets=(0, 1))
    search.run(3)
    ones = torch.ones(6, 6) + 0.01 * torch.tril(torch.ones(6, 6), -1)  # not positive definite
    covariance = torch.stack([ones, torch.eye(6)])
    search.state = replace(search.state, covariance=covariance)
    search.run(10)
    assert finite(search.state)
    torch.linalg.cholesky(search.state.covariance)


def test_a_latent_from_elsewhere_does_not_take_over() -> None:
    space = build_space(SpaceSpec("normal", 8))
    search = Search(CMA(), space, targets=(0,))
    search.run(5)
    state: CMAState = copy_of(search.state)
    latents = search.ask()
    latents[:, 0] = 1e6
    scores = search.scores(latents)
    scores[:, 0] = 1.0
    search.tell(latents, scores)
    assert search.state.sigma.item() < 10 * state.sigma.item()
    assert search.state.mean.abs().max() < 100


def test_refuses_matrices_that_do_not_fit() -> None:
    space = build_space(SpaceSpec("normal", 4096))
    with pytest.raises(Unsupported, match=r"needs 4294967296 bytes.*16 targets.*sep_cma"):
        CMA(max_bytes=2**31).init(space, 16, Stream(0, "init", 0, range(16)))
    with pytest.raises(Unsupported, match="sep_cma"):
        CMA(max_bytes=2**20).check(space)
