"""Ridge regression of few rows on many features, by the Gram matrix of the rows.

Double precision, one target at a time; see `_targetwise`.
"""

from __future__ import annotations

import torch

from blackbox_am.core.linear_algebra import cholesky, eigh, matmul, solve_triangular

PENALTIES = (1e-3, 5e-3, 0.02, 0.1, 0.5, 2.0)
"""Ridge penalties that are tried, in units of the mean square of a row."""


def best_penalty(gram: torch.Tensor, wanted: torch.Tensor) -> float:
    """The penalty of `PENALTIES` with the least square error on rows left out, each predicted from
    all the others: D. M. Allen's PRESS (Technometrics 16, 1974). One eigenvalue decomposition
    serves all penalties.

    Args:
        gram: (N, N) float64, positive semidefinite.
        wanted: (N,) float64.
    """
    values, basis = eigh(gram)
    values, parts, squares = values.clamp(min=0), matmul(basis.T, wanted), basis.square()
    errors = []
    for penalty in PENALTIES:
        inverse = 1 / (values + penalty)
        left_out = matmul(basis, inverse * parts) / matmul(squares, inverse)
        errors.append(float(left_out.square().sum()))
    return PENALTIES[errors.index(min(errors))]


def coefficients(gram: torch.Tensor, wanted: torch.Tensor, penalty: float) -> torch.Tensor:
    """(N,) float64: a with (gram + penalty) a = wanted. The readout is the sum of a_i times row i.

    Args:
        gram: (N, N) float64, positive semidefinite but for rounding.
        wanted: (N,) float64.
        penalty: more than 0.
    """
    lower, failed = cholesky(gram + penalty * torch.eye(len(gram), device=gram.device))
    if bool(failed):
        return torch.zeros_like(wanted)
    half = solve_triangular(lower, wanted.unsqueeze(1), upper=False)
    return solve_triangular(lower.T, half, upper=True).squeeze(1)
