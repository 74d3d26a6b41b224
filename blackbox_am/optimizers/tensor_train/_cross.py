"""Index sets of cross approximation: nested sets of the rows and columns of unfoldings.

Boundary j of M modes lies between modes j - 1 and j. The left set of a boundary holds multi-indices
of the modes before the boundary, its right set multi-indices of the modes after it. Sets are
nested: a member of the left set at j is a member of the left set at j - 1 and one more value, and
is stored as this pair. Right sets are stored in the same way. So sets of all boundaries take memory
linear in M.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from blackbox_am.core import linear_algebra

Indices = NDArray[np.int32]
Floats = NDArray[np.float64]

TOLERANCE = 1.001
MAX_SWAPS = 1000


def ranks(modes: int, size: int, rank: int) -> list[int]:
    """Number of members of the sets at boundaries 0 to M: `rank`, or the number of multi-indices if
    smaller.
    """
    fit = next((j for j in range(rank) if size**j >= rank), rank)
    return [min(rank, size ** min(j, fit), size ** min(modes - j, fit)) for j in range(modes + 1)]


def prefixes(left: Indices, boundary: int, count: int) -> Indices:
    """(count, boundary) values of the first modes, from left sets (M + 1, r, 2) of pairs
    (member of the set before, value).
    """
    out = np.empty((count, boundary), np.int32)
    member = np.arange(count)
    for j in range(boundary, 0, -1):
        out[:, j - 1] = left[j, member, 1]
        member = left[j, member, 0]
    return out


def suffixes(right: Indices, boundary: int, count: int) -> Indices:
    """(count, M - boundary) values of the last modes, from right sets (M + 1, r, 2) of pairs
    (member of the set after, value).
    """
    modes = len(right) - 1
    out = np.empty((count, modes - boundary), np.int32)
    member = np.arange(count)
    for j in range(boundary, modes):
        out[:, j - boundary] = right[j, member, 1]
        member = right[j, member, 0]
    return out


def maxvol(
    matrix: Floats, tolerance: float = TOLERANCE, swaps: int = MAX_SWAPS
) -> NDArray[np.int64]:
    """(r,) rows of `matrix` (N, r) of full column rank, N >= r, whose determinant is close to
    the largest: no exchange of one row makes it larger by more than `tolerance`.

    Source: S. Goreinov et al., "How to Find a Good Submatrix" (2010), from the rows that
    Gaussian elimination with partial pivoting picks.
    """
    rows = _pivots(matrix)
    square, whole = torch.from_numpy(matrix[rows].T), torch.from_numpy(matrix.T)
    share: Floats = linear_algebra.solve(square, whole).numpy().T  # all rows, by the chosen ones
    for _ in range(swaps):
        row, place = np.unravel_index(np.abs(share).argmax(), share.shape)
        if abs(share[row, place]) <= tolerance:
            break
        change = share[row].copy()
        change[place] -= 1
        share = share - np.outer(share[:, place], change) / share[row, place]
        rows[place] = row
    return rows


def choose(values: Floats) -> NDArray[np.int64]:
    """(r,) rows of `values` (N, r): those of `maxvol`, the row of the largest value included."""
    basis, _ = linear_algebra.qr(torch.from_numpy(values))
    rows = maxvol(basis.numpy())
    best = int(np.abs(values).max(1).argmax())
    if best not in rows:
        rows[-1] = best
    return rows


def _pivots(matrix: Floats) -> NDArray[np.int64]:
    """(r,) rows that partial pivoting picks."""
    rest = matrix.copy()
    rows = np.empty(matrix.shape[1], np.int64)
    free = np.ones(len(matrix), bool)
    for column in range(matrix.shape[1]):
        row = int(np.where(free, np.abs(rest[:, column]), -1.0).argmax())
        rows[column] = row
        free[row] = False
        rest = rest - np.outer(rest[:, column] / rest[row, column], rest[row])
    return rows
