"""Products with one triangle of a matrix, a panel of its rows at a time.

Half of a triangular matrix is zero, and half of a symmetric matrix repeats the other half. Large
ones are worked through in panels that end at the diagonal, which saves nearly half of the
arithmetic and of the memory traffic. The panels depend on D alone.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from blackbox_am.core import linear_algebra

PANEL = 512
"""Rows of a panel; matrices of no more are taken whole."""


def panels(dim: int) -> Iterator[slice]:
    """The rows 0 to `dim`, `PANEL` at a time."""
    for first in range(0, dim, PANEL):
        yield slice(first, min(first + PANEL, dim))


def times_factor(rows: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    """(P, D): A applied to every one of `rows` (P, D), for a lower A (D, D)."""
    return torch.cat(
        [
            linear_algebra.matmul(rows[:, : part.stop], factor[part, : part.stop].T)
            for part in panels(len(factor))
        ],
        dim=1,
    )


def add_outer(matrix: torch.Tensor, kept: float, weights: torch.Tensor, rows: torch.Tensor) -> None:
    """Makes M (D, D) into kept M + sum_i weights_i rows_i rows_i^T, in place.

    Only the lower triangle is correct afterwards; elements above the diagonal are undefined.

    Args:
        matrix: M.
        kept: factor on the old M.
        weights: (P,).
        rows: (P, D).
    """
    weighted = (weights.unsqueeze(-1) * rows).T
    for part in panels(len(matrix)):
        linear_algebra.addmm_(
            matrix[part, : part.stop], weighted[part], rows[:, : part.stop], beta=kept
        )


def factor_in_panels(covariance: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Lower A (D, D) with A A^T = C, of which only the lower triangle is read, and 0 or an
    int32 that says that C is not positive definite.

    Left-looking: each panel of columns is brought up to date by one product with all those
    before it, which leaves the small triangles alone to the library's own factorisation (measured
    at D = 4,096 on one thread: 0.29 s, where the library alone takes 0.53 s).
    """
    result = torch.zeros_like(covariance)
    failed = torch.zeros((), dtype=torch.int32, device=covariance.device)
    for part in panels(len(covariance)):
        done = result[part.start :, : part.start]
        width = part.stop - part.start
        column = covariance[part.start :, part]
        if part.start:
            column = linear_algebra.addmm(column, done, done[:width].T, alpha=-1)
        corner, info = linear_algebra.cholesky(column[:width])
        failed = torch.maximum(failed, info)
        result[part, part] = corner
        if part.stop < len(covariance):
            result[part.stop :, part] = linear_algebra.solve_triangular(
                corner.mT, column[width:], upper=True, left=False
            )
    return result, failed
