"""Wilcoxon's signed-rank test, exact also with ties.

F. Wilcoxon, "Individual comparisons by ranking methods", Biometrics Bulletin, 1945.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from blackbox_am.comparisons.results import FloatArray

EXACT = 200
"""Differences up to which all signs are counted; for more, the sum of ranks is normal."""


def wilcoxon(differences: FloatArray) -> float:
    """The two-sided p-value of the signed-rank test of `differences` (N,).

    It is the probability that the sum of the ranks of the positive differences is at least as far
    from its mean if each sign is positive with probability 1/2. Differences of 0 and nan are left
    out. Equal absolute differences share the mean of their ranks, and the distribution of the sum
    is that of these ranks, so that the test is exact for up to `EXACT` differences.

    Returns:
        1 if all differences are 0; nan without a difference.
    """
    known = differences[~np.isnan(differences)]
    if not known.size:
        return math.nan
    known = known[known != 0]
    # Ranks are multiples of 1/2, so twice the ranks are whole numbers.
    doubled = np.rint(2 * mean_ranks(np.abs(known))).astype(np.int64)
    total = int(doubled.sum())
    distance = abs(2 * int(doubled[known > 0].sum()) - total)
    if not distance:
        return 1.0
    if len(known) > EXACT:
        return math.erfc(distance / math.sqrt(2 * float((doubled**2).sum())))
    chances = _distribution(doubled, total)
    far = np.abs(2 * np.arange(total + 1) - total) >= distance
    return float(min(1.0, chances[far].sum()))


def mean_ranks(values: FloatArray) -> FloatArray:
    """(N,) ranks of values from 1; equal values share the mean of their ranks."""
    ordered = np.sort(values)
    first = np.searchsorted(ordered, values, side="left")
    last = np.searchsorted(ordered, values, side="right")
    return (first + last + 1) / 2


def _distribution(ranks: NDArray[np.int64], total: int) -> FloatArray:
    """(total + 1,) probability of each sum of a random half of the ranks."""
    chances = np.zeros(total + 1)
    chances[0] = 1.0
    for rank in ranks:
        shifted = np.zeros_like(chances)
        shifted[rank:] = chances[: total + 1 - rank]
        chances = (chances + shifted) / 2
    return chances
