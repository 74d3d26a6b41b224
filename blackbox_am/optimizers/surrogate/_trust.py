"""The length of a path: a trust radius that grows and shrinks with the success of its rows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

MIDDLE, END = 0, 1
"""Rows of a generation at the middle and at the end of the path."""
LONGER, KEPT, SHORTER = 1.5, 0.85, 0.8
"""Factors on the radius where the end of the path is best, where its middle is, and where no row of
the path improves on the best score.
"""
LONGER_IN_MEAN, SHORTER_IN_MEAN = 1.15, 0.85
"""Factors where the rows of the path are better than the others in the mean, and where not."""


@dataclass(frozen=True)
class Radii:
    """The first, the smallest and the largest radius."""

    first: float
    low: float
    high: float

    def scaled(self, radius: torch.Tensor, factor: float) -> torch.Tensor:
        """() `radius` times `factor`, between the bounds."""
        return (radius * factor).clamp(self.low, self.high)


def exact_radii(dim: int) -> Radii:
    """Radii in `dim` dimensions for exact scores: powers of the dimension through 5 and 0.5 at 128,
    8 and 2 at 4,096, where they were chosen.
    """
    return Radii(
        first=5.0 * (dim / 128) ** math.log(8 / 5, 32),
        low=0.5 * (dim / 128) ** math.log(4, 32),
        high=64.0,
    )


def noisy_radii(dim: int) -> Radii:
    """Radii in `dim` dimensions for noisy scores: 8, 6 and 40 at 4,096, where they were chosen,
    and in proportion to `exact_radii` elsewhere.
    """
    share = exact_radii(dim).first / 8.0
    return Radii(8.0 * share, 6.0 * share, 40.0 * share)


def factor_by_best(scores: torch.Tensor, best: float) -> float:
    """The factor on the radius after the rows of a path scored `scores` (rows,), where nan is a row
    that failed and at least one came back.

    Args:
        scores: of the rows of the path.
        best: the best score before them; -inf if there was none.
    """
    known = scores.nan_to_num(-math.inf, math.inf, -math.inf)
    if not bool(known.max() > best):
        return SHORTER
    return LONGER if int(known.argmax()) == END else KEPT


def factor_by_mean(path: torch.Tensor, others: torch.Tensor) -> float:
    """The factor on the radius after the rows of a path scored `path`, and the others `others`;
    1 if all rows of either failed.
    """
    path, others = path[~path.isnan()], others[~others.isnan()]
    if not (len(path) and len(others)):
        return 1.0
    return LONGER_IN_MEAN if bool(path.mean() > others.mean()) else SHORTER_IN_MEAN
