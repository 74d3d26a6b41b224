"""The re-check: the best candidates of a noisy search, measured again at its end.

The best of many noisy scores is mostly a lucky one: at a noise factor of 0.5 it is about twice the
true score. The study therefore keeps a part of the budget. When the search of all targets has
ended, one last generation measures two candidates of each target several times: the centre of the
search, and the candidate with the best score. The better mean is reported, with its standard error.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blackbox_am.core.spec import Budget, SpaceSpec
from blackbox_am.core.types import Estimate, FloatArray, Recheck
from blackbox_am.errors import InvalidSpec

NOISY_FRACTION = 0.1
"""Fraction of the budget for the re-check on a noisy oracle, unless the study sets another one."""
LEAST_ROWS = 4
"""Smallest number of rows of a re-check: two for each of two candidates."""
MOST_ROWS = 1000
"""Largest number of rows of a re-check, of each target."""
MOST_BYTES = 2**28
"""Largest size of the latents of a re-check of all targets, in bytes."""


def recheck_rows(budget: Budget, noisy: bool, targets: int, space: SpaceSpec) -> int:
    """Number of rows of each target that a study keeps for its re-check; 0 for no re-check.

    Args:
        budget: of the study.
        noisy: whether the oracle is noisy.
        targets: K.
        space: the latent space.
    """
    fraction = budget.recheck_fraction
    if fraction is None:
        fraction = NOISY_FRACTION if noisy else 0.0
    fit = MOST_BYTES // (8 * space.dimension * targets)
    rows = min(int(fraction * budget.queries_per_target), MOST_ROWS, fit)
    return rows if rows >= LEAST_ROWS else 0


def check_recheck(budget: Budget, targets: int, space: SpaceSpec) -> None:
    """Checks that a requested re-check has enough rows.

    Raises:
        InvalidSpec: if it has not.
    """
    if budget.recheck_fraction and not recheck_rows(budget, False, targets, space):
        raise InvalidSpec(
            f"budget.recheck_fraction: a re-check takes at least {LEAST_ROWS} rows of each target, "
            f"and {budget.recheck_fraction:g} of {budget.queries_per_target} queries are "
            f"{int(budget.recheck_fraction * budget.queries_per_target)}; use a larger fraction or "
            "budget, or 0 for no re-check",
            field="budget.recheck_fraction",
        )


def recheck_of(scores: FloatArray, centre_rows: int) -> Recheck | None:
    """The estimates from the scores (R,) of one target's re-check.

    Args:
        scores: nan for rows that failed.
        centre_rows: number of the first rows, which measured the centre.

    Returns:
        None if every row failed.
    """
    centre, row = _estimate(scores[:centre_rows]), _estimate(scores[centre_rows:])
    if not centre.rows + row.rows:
        return None
    by_centre = centre.rows > 0 and (not row.rows or centre.mean > row.mean)
    return Recheck("centre" if by_centre else "row", row, centre if centre_rows else None)


def _estimate(scores: NDArray[Any]) -> Estimate:
    known = scores[~np.isnan(scores)]
    if not len(known):
        return Estimate(math.nan)
    error = float(known.std(ddof=1)) / math.sqrt(len(known)) if len(known) > 1 else None
    return Estimate(float(known.mean()), error, len(known))
