"""The signed-rank test against enumeration, tables and numbers of a library."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from blackbox_am.comparisons import signed_ranks
from blackbox_am.comparisons.signed_ranks import mean_ranks, wilcoxon

NAN = float("nan")


@pytest.mark.parametrize(
    "differences",
    [
        [0.3, -0.1, 0.7, 0.25, 1.1, -0.2],
        [0.5, -0.5, 0.5, 0.25, 1.0, -0.25, 0.5],  # ties
        [1.0],
        [0.1, 0.2, 0.3, 0.4, 0.5],
    ],
)
def test_the_p_value_counts_all_signs(differences: list[float]) -> None:
    values = np.array(differences)
    ranks = mean_ranks(np.abs(values))
    observed = abs(ranks[values > 0].sum() - ranks.sum() / 2)
    sums = np.array([np.dot(ranks, signs) for signs in product((0, 1), repeat=len(values))])
    wanted = (np.abs(sums - ranks.sum() / 2) >= observed).mean()
    assert wilcoxon(values) == pytest.approx(wanted)
    assert wilcoxon(-values) == pytest.approx(wanted)
    assert wilcoxon(np.array([*values, 0.0, NAN])) == pytest.approx(wanted)


def test_small_cases_without_a_decision() -> None:
    assert wilcoxon(np.zeros(4)) == 1.0
    assert wilcoxon(np.array([1.0, -1.0])) == 1.0
    assert np.isnan(wilcoxon(np.array([NAN])))
    assert np.isnan(wilcoxon(np.empty(0)))


def test_it_agrees_with_published_critical_values() -> None:
    # Tables of the test: for 20 pairs a rank sum of 52 is significant at .05, one of 53 is not.
    ranks = np.arange(1.0, 21.0)
    for positive, significant in (({20, 19, 13}, True), ({20, 19, 14}, False)):
        values = np.where(np.isin(ranks, list(positive)), ranks, -ranks)
        assert (wilcoxon(values) < 0.05) == significant


def test_many_differences_are_nearly_normal(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).normal(0.2, 1, 150)
    assert wilcoxon(values) == pytest.approx(0.000895076302621, rel=1e-9)  # scipy 1.17, exact
    monkeypatch.setattr(signed_ranks, "EXACT", 100)
    assert wilcoxon(values) == pytest.approx(0.000982066240150, rel=1e-9)  # scipy, "approx"


def test_equal_values_share_the_mean_of_their_ranks() -> None:
    assert mean_ranks(np.array([2.0, 1.0, 2.0, 5.0, 2.0])).tolist() == [3.0, 1.0, 3.0, 5.0, 3.0]
