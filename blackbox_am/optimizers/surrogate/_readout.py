"""A linear readout of features, fitted to the order of scores.

Ridge regression in double precision, one target at a time; see `_targetwise`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from blackbox_am.core.linear_algebra import eigh, matmul

PENALTIES = tuple(10.0 ** (exponent / 7 * 5 - 3) for exponent in range(8))
"""Ridge penalties that are tried, in units of the mean square of a standardised row."""
LARGEST_LEVERAGE = 0.999
WIDE = 4096
"""More features than this, and more than rows, are standardised and multiplied in float32, which
takes half of the time.
"""
SMALLEST_DEVIATION = 1e-6
"""A feature whose variation is below this share of the largest number among all features is treated
as constant.
"""


@dataclass(frozen=True)
class Readout:
    """A fitted readout: it predicts features @ weights for features (..., F), up to a constant.

    Attributes:
        weights: (F,) float64; 0 if nothing could be learned.
        explained: 1 minus the mean square error of rows left out of the fit, in units of the
            variance. 0 or less for a readout without predictive power.
    """

    weights: torch.Tensor
    explained: float


def fit(features: torch.Tensor, scores: torch.Tensor) -> Readout:
    """The ridge regression of normal scores on standardised features.

    The penalty is the one of `PENALTIES` with the least error on rows left out, each predicted
    from all the others, which costs nothing beyond one eigenvalue decomposition: A. E. Hoerl and
    R. W. Kennard, "Ridge Regression" (Technometrics 12, 1970), and D. M. Allen's PRESS (1974).
    The decomposition is of the smaller of the two Gram matrices, and the smallest penalty bounds
    every divisor away from 0, so collinear or constant features do no harm.

    Args:
        features: (N, F), of any dtype.
        scores: (N,) without nan, of which only the order counts.
    """
    width = features.shape[1]
    rows = features.to(torch.float32 if width > max(WIDE, len(features)) else torch.float64)
    nothing = Readout(torch.zeros(width, dtype=torch.float64, device=features.device), 0.0)
    if len(rows) < 3 or not bool(rows.isfinite().all()):
        return nothing
    wanted = normal_scores(scores)
    variance = float(wanted.square().mean())
    deviations = rows.std(0)
    alive = deviations > SMALLEST_DEVIATION * rows.abs().max()
    if variance == 0 or not bool(alive.any()):
        return nothing
    scale = torch.where(alive, deviations, torch.inf) * width**0.5
    standard = (rows - rows.mean(0)) / scale
    if len(rows) <= width:
        values, basis = eigh(matmul(standard, standard.T).to(torch.float64))
    else:
        values, right = eigh(matmul(standard.T, standard))
        kept = values > values[-1] * 1e-12
        values, right = values[kept], right[:, kept]
        basis = matmul(standard, right) / values.sqrt()
    values = values.clamp(min=0)
    parts, squares = matmul(basis.T, wanted), basis.square()
    error, penalty = min(
        (_left_out(wanted, basis, squares, parts, values / (values + penalty)), penalty)
        for penalty in PENALTIES
    )
    shares = matmul(basis, parts / (values + penalty))
    weights = matmul(standard.T, shares.to(standard.dtype)).to(torch.float64)
    return Readout(weights / scale, 1 - error / variance)


def normal_scores(scores: torch.Tensor) -> torch.Tensor:
    """(N,) float64: for each score the standard normal quantile of its rank; equal scores get
    equal ones. Infinite scores are scores like any other; nan is not allowed.
    """
    below = (scores.unsqueeze(0) < scores.unsqueeze(1)).sum(1)
    equal = (scores.unsqueeze(0) == scores.unsqueeze(1)).sum(1)
    quantiles = (below + equal / 2).to(torch.float64) / len(scores)
    found: torch.Tensor = torch.special.ndtri(quantiles)
    return found - found.mean()


def _left_out(
    wanted: torch.Tensor,
    basis: torch.Tensor,
    squares: torch.Tensor,
    parts: torch.Tensor,
    shrinkage: torch.Tensor,
) -> float:
    """The mean square error of each row, predicted from all the others."""
    leverage = matmul(squares, shrinkage)
    # The fit includes a constant, which adds to the leverage of each row.
    leverage = (leverage + 1 / len(wanted)).clamp(max=LARGEST_LEVERAGE)
    return float(((wanted - matmul(basis, shrinkage * parts)) / (1 - leverage)).square().mean())
