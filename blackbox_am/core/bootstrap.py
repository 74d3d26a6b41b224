"""Bootstrap intervals of medians over units and seeds.

Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13 (percentile intervals).
Each resample draws units with replacement, and for each drawn unit as many of its seeds.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
FloatArray = NDArray[np.float64]


def bootstrap(found: NDArray[Any]) -> tuple[float, float]:
    """The 95 % bootstrap interval of the median over units and seeds of numbers (units, seeds)."""
    units, seeds = found.shape
    random = np.random.default_rng(0)
    unit = _units(random, units)
    medians = np.median(found[unit, _seeds(random, units, seeds)], axis=(1, 2))
    return percentiles(medians)


def bootstrap_medians(found: FloatArray) -> tuple[float, float]:
    """The 95 % bootstrap interval of the median over units of medians over seeds.

    Args:
        found: (units, seeds); nan for a seed without a number.

    Returns:
        nan, nan if there is no number.
    """
    units, seeds = found.shape
    if not units or not seeds:
        return float("nan"), float("nan")
    random = np.random.default_rng(0)
    unit = _units(random, units)
    return percentiles(_medians(_medians(_drawn(random, found, unit))))


def bootstrap_ratio(found: FloatArray, reference: FloatArray) -> tuple[float, float]:
    """The 95 % bootstrap interval of the median over units of a ratio of medians over seeds.

    The same units are drawn for both, since they are pairs; seeds are drawn apart.

    Args:
        found: (units, seeds) of the numerator; nan for a seed without a number.
        reference: (units, other seeds) of the denominator, each unit with a number above 0.

    Returns:
        nan, nan without a unit, or if no resample has a ratio.
    """
    units = len(found)
    if not units or not found.shape[1] or not reference.shape[1]:
        return float("nan"), float("nan")
    random = np.random.default_rng(0)
    unit = _units(random, units)
    above = _medians(_drawn(random, found, unit))
    below = _medians(_drawn(random, reference, unit))
    ratios = above / np.where(below > 0, below, np.nan)
    return percentiles(_medians(ratios))


def percentiles(values: FloatArray) -> tuple[float, float]:
    """The 2.5th and the 97.5th percentile; nan are left out, nan if nothing is left."""
    known = values[~np.isnan(values)]
    if not known.size:
        return float("nan"), float("nan")
    low, high = np.percentile(known, [2.5, 97.5])
    return float(low), float(high)


def _medians(values: FloatArray) -> FloatArray:
    """Medians over the last axis without nan; nan where nothing is left."""
    ordered = np.sort(values, axis=-1)  # nan stand last
    count = (~np.isnan(values)).sum(axis=-1)
    places = np.stack([np.maximum(count - 1, 0) // 2, np.minimum(count // 2, values.shape[-1] - 1)])
    middle = np.stack([np.take_along_axis(ordered, p[..., None], -1)[..., 0] for p in places])
    return np.where(count > 0, middle.mean(axis=0), np.nan)


def _drawn(random: np.random.Generator, found: FloatArray, unit: NDArray[np.int64]) -> FloatArray:
    """(resamples, units, seeds): for each drawn unit as many of its known seeds as it has, then
    nan.
    """
    ordered = np.sort(found, axis=1)  # nan stand last
    known = (~np.isnan(found)).sum(axis=1)[unit]
    uniform = random.random((*unit.shape[:2], found.shape[1]))
    values = ordered[unit, (uniform * known).astype(np.int64)]
    return np.where(np.arange(found.shape[1]) < known, values, np.nan)


def _units(random: np.random.Generator, units: int) -> NDArray[np.int64]:
    return random.integers(units, size=(RESAMPLES, units, 1))


def _seeds(random: np.random.Generator, units: int, seeds: int) -> NDArray[np.int64]:
    return random.integers(seeds, size=(RESAMPLES, units, seeds))
