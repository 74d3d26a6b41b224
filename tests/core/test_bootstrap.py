"""Bootstrap intervals: coverage of simple cases, and missing numbers."""

from __future__ import annotations

import numpy as np
import pytest

from blackbox_am.core.bootstrap import bootstrap, bootstrap_medians, bootstrap_ratio, percentiles

NAN = float("nan")


def test_equal_numbers_have_no_width() -> None:
    same = np.full((4, 3), 2.5)
    assert bootstrap(same) == bootstrap_medians(same) == (2.5, 2.5)
    assert bootstrap_ratio(same, np.full((4, 2), 5.0)) == (0.5, 0.5)


def test_the_interval_of_one_seed_is_that_of_the_median_of_units() -> None:
    found = np.random.default_rng(0).normal(size=(25, 1))
    low, high = bootstrap_medians(found)
    assert (low, high) == bootstrap(found)
    # Order statistics: the median lies between the 8th and the 18th of 25 with 95.7 %.
    ordered = np.sort(found[:, 0])
    assert ordered[5] <= low <= ordered[9]
    assert ordered[15] <= high <= ordered[19]


def test_seeds_that_are_missing_are_left_out() -> None:
    found = np.array([[1.0, NAN, 1.0], [3.0, 3.0, NAN], [NAN, NAN, NAN]])
    low, high = bootstrap_medians(found)
    assert (low, high) == (1.0, 3.0)
    draw = np.random.default_rng(1)
    one = draw.normal(size=(12, 1))
    padded = np.concatenate([np.full((12, 3), NAN), one], axis=1)
    assert bootstrap_medians(padded) == bootstrap_medians(one)  # one known seed is always drawn
    several = draw.normal(size=(12, 5))
    padded = np.concatenate([several, np.full((12, 2), NAN)], axis=1)
    assert bootstrap_medians(padded) == pytest.approx(bootstrap_medians(several), abs=0.15)
    assert np.isnan(bootstrap_medians(np.full((2, 2), NAN))).all()
    assert np.isnan(bootstrap_medians(np.empty((0, 3)))).all()
    assert np.isnan(bootstrap_ratio(np.empty((0, 3)), np.empty((0, 3)))).all()


def test_units_are_pairs_in_a_ratio() -> None:
    scale = np.array([[1.0], [10.0], [100.0], [1000.0]])
    low, high = bootstrap_ratio(0.5 * scale, scale)
    assert (low, high) == (pytest.approx(0.5), pytest.approx(0.5))


def test_percentiles_leave_nan_out() -> None:
    assert percentiles(np.array([NAN, 1.0, 1.0])) == (1.0, 1.0)
    assert np.isnan(percentiles(np.array([NAN]))).all()
