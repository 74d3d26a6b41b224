"""Weights by rank: the published numbers, and rows that are missing."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from blackbox_am.optimizers.evolution._ranks import centred_ranks, log_utilities, sigma_rate

SCORES = st.lists(
    st.floats(width=32, allow_subnormal=False) | st.just(math.nan), min_size=1, max_size=30
)


def test_utilities_of_six_rows_by_hand() -> None:
    raw = [math.log(4) - math.log(k) for k in (1, 2, 3)] + [0.0] * 3
    expected = [r / sum(raw) - 1 / 6 for r in raw]
    centred, plain = log_utilities(torch.tensor([[9.0, 8.0, 7.0, 6.0, 5.0, 4.0]]), torch.float64)
    assert centred[0].tolist() == pytest.approx(expected)
    assert plain[0].tolist() == pytest.approx([r / sum(raw) for r in raw])
    assert log_utilities(torch.tensor([[4.0, 9.0]]), torch.float64)[1].tolist() == [[0.0, 1.0]]


def centred_utilities(scores: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    return log_utilities(scores, dtype)[0]


def test_centred_ranks_by_hand() -> None:
    found = centred_ranks(torch.tensor([[2.0, -1.0, 7.0, math.nan, 3.0, 0.0]]), torch.float64)
    assert found.tolist() == [[0.0, -0.5, 0.5, 0.0, 0.25, -0.25]]


@pytest.mark.parametrize("weigh", [centred_utilities, centred_ranks])
@given(scores=SCORES)
def test_missing_rows_leave_a_smaller_population(weigh: object, scores: list[float]) -> None:
    assert callable(weigh)
    whole = weigh(torch.tensor([scores]), torch.float64)[0]
    present = [s for s in scores if not math.isnan(s)]
    expected = weigh(torch.tensor([present]).reshape(1, -1), torch.float64)[0]
    missing = torch.tensor(scores).isnan()
    torch.testing.assert_close(whole[~missing], expected)
    assert (whole[missing] == 0).all()
    assert whole.sum().item() == pytest.approx(0, abs=1e-12)
    if len(present) < 2:
        assert (whole == 0).all()


@pytest.mark.parametrize("weigh", [centred_utilities, centred_ranks])
@given(scores=SCORES)
def test_better_rows_never_weigh_less(weigh: object, scores: list[float]) -> None:
    assert callable(weigh)
    present = torch.tensor([[s for s in scores if not math.isnan(s)]])
    weights = weigh(present, torch.float64)[0]
    by_score = weights[present[0].argsort(stable=True, descending=True)]
    assert (by_score.diff() <= 0).all()


def test_sigma_rate_of_100_dimensions() -> None:
    assert sigma_rate(100) == pytest.approx((3 + math.log(100)) / 50)
