"""Learning rates and weights: the published numbers, and rows that are missing."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from blackbox_am.optimizers._weights import descending, rank, rates

cma = pytest.importorskip("cma")


def test_constants_of_ten_dimensions_by_hand() -> None:
    """Population 10 in 10 dimensions, every number worked out from the tutorial's Table 1."""
    r = rates(10, 10, active=True, diagonal=False)
    raw = [math.log(5.5) - math.log(i) for i in range(1, 11)]
    good, bad = raw[:5], raw[5:]
    mu_eff = sum(good) ** 2 / sum(w**2 for w in good)
    assert r.mu_eff == pytest.approx(mu_eff) == pytest.approx(3.1672992)
    assert r.c_sigma == pytest.approx((mu_eff + 2) / (15 + mu_eff))
    assert r.d_sigma == pytest.approx(1 + r.c_sigma)
    assert r.c_c == pytest.approx((4 + mu_eff / 10) / (14 + mu_eff / 5))
    assert r.c_1 == pytest.approx(2 / (11.3**2 + mu_eff))
    assert r.c_mu == pytest.approx(2 * (0.25 + mu_eff + 1 / mu_eff - 2) / (144 + mu_eff))
    assert r.weights[:5] == pytest.approx([w / sum(good) for w in good])
    mu_bad = sum(bad) ** 2 / sum(w**2 for w in bad)
    limits = (
        1 + r.c_1 / r.c_mu,
        1 + 2 * mu_bad / (mu_eff + 2),
        (1 - r.c_1 - r.c_mu) / (10 * r.c_mu),
    )
    assert sum(r.weights[5:]) == pytest.approx(-min(limits))


@pytest.mark.parametrize(("dim", "population"), [(4, 8), (16, 16), (64, 20), (512, 200)])
def test_constants_equal_pycma(dim: int, population: int) -> None:
    options = {"seed": math.nan, "verbose": -9, "popsize": population}
    theirs = cma.CMAEvolutionStrategy(dim * [0.0], 1.0, options).sp
    ours = rates(population, dim, active=True, diagonal=False)
    assert ours.mu_eff == pytest.approx(theirs.weights.mueff)
    assert ours.c_1 == pytest.approx(theirs.c1)
    assert ours.c_mu == pytest.approx(theirs.cmu)
    assert ours.c_c == pytest.approx(theirs.cc)
    assert ours.weights == pytest.approx(list(theirs.weights))


@pytest.mark.parametrize(("dim", "population"), [(16, 16), (512, 22), (4096, 40)])
def test_the_diagonal_learns_a_third_of_the_dimension_faster(dim: int, population: int) -> None:
    full = rates(population, dim, active=False, diagonal=False)
    diagonal = rates(population, dim, active=False, diagonal=True)
    assert diagonal.c_1 == pytest.approx(full.c_1 * (dim + 2) / 3)
    assert diagonal.c_mu == pytest.approx(min(1 - diagonal.c_1, full.c_mu * (dim + 2) / 3))
    assert (diagonal.c_sigma, diagonal.d_sigma) == (full.c_sigma, full.d_sigma)


@given(population=st.integers(2, 300), dim=st.integers(1, 2000), diagonal=st.booleans())
def test_any_size_gives_sane_constants(population: int, dim: int, diagonal: bool) -> None:
    r = rates(population, dim, active=True, diagonal=diagonal)
    assert len(r.weights) == population
    assert sum(w for w in r.weights if w > 0) == pytest.approx(1)
    assert list(r.weights) == sorted(r.weights, reverse=True)
    assert 0 < r.c_1 <= 1
    assert 0 <= r.c_1 + r.c_mu <= 1
    assert 0 < r.c_sigma < 1 < r.d_sigma
    # What C keeps of itself covers the most that the negative weights can take from it.
    taken = dim * r.c_mu * -sum(w for w in r.weights if w < 0)
    assert 1 - r.c_1 - r.c_mu - taken > -1e-9


def test_missing_rows_leave_the_weights_of_a_smaller_population() -> None:
    scores = torch.tensor([[3.0, math.nan, 5.0, 1.0, math.nan, 4.0]])
    ranked = rank(scores, 8, torch.float64, active=True, diagonal=False)
    small = rates(4, 8, active=True, diagonal=False)
    best_first = ranked.weights[0, [2, 5, 0, 3]]
    assert best_first.tolist() == pytest.approx(list(small.weights))
    assert ranked.weights[0, [1, 4]].tolist() == [0, 0]
    assert ranked.c_mu.item() == pytest.approx(small.c_mu)
    assert ranked.sigma_rate.item() == pytest.approx(small.c_sigma / small.d_sigma)
    assert ranked.sigma_gain.item() ** 2 == pytest.approx(
        small.c_sigma * (2 - small.c_sigma) * small.mu_eff
    )


@pytest.mark.parametrize("present", [0, 1])
def test_too_few_rows_teach_nothing(present: int) -> None:
    scores = torch.full((1, 6), math.nan)
    scores[0, :present] = 1.0
    ranked = rank(scores, 8, torch.float64, active=True, diagonal=False)
    assert ranked.weights.eq(0).all()
    for nothing in (ranked.sigma_gain, ranked.sigma_rate, ranked.c_gain, ranked.c_1, ranked.c_mu):
        assert nothing.item() == 0
    for everything in (ranked.sigma_kept, ranked.c_kept, ranked.share_kept):
        assert everything.item() == 1


def test_order_of_special_scores() -> None:
    scores = torch.tensor([[-math.inf, math.nan, 2.0, math.inf, 2.0, math.nan, -math.inf]])
    assert descending(scores).tolist() == [[3, 2, 4, 0, 6, 1, 5]]


@given(
    st.lists(
        st.floats(width=32, allow_subnormal=False) | st.just(math.nan), min_size=1, max_size=40
    )
)
def test_order_is_a_stable_sort(scores: list[float]) -> None:
    expected = sorted(
        range(len(scores)),
        key=lambda i: (math.isnan(scores[i]), -scores[i] if scores[i] == scores[i] else 0, i),
    )
    assert descending(torch.tensor([scores])).tolist() == [expected]
