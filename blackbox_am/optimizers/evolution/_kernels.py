"""Passes over the latents of a generation on the CPU, compiled at the first call.

A step is z = (latent - origin) / spread, coordinate by coordinate. No kernel stores the steps of a
whole generation: each passes over the latents of one target while these are in the cache.
Coordinates are the innermost axis of every loop, so that the compiler turns the loops into vector
instructions without reordering a sum. Each target is computed by itself, so its result does not
depend on the other targets, to the last bit.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from blackbox_am.optimizers._compiled import Floats, compiled

LANES = 64
"""Partial sums of a squared length."""
STRETCH = 512
"""Coordinates whose sums stay in the cache while the rows pass."""


@compiled
def scale(rows: Floats, origin: Floats, spread: Floats) -> None:
    """Replaces rows (K, P, D) by origin (K, D) plus spread (K, D) times the row."""
    targets, population, dim = rows.shape
    for k in range(targets):
        for p in range(population):
            for d in range(dim):
                rows[k, p, d] = rows[k, p, d] * spread[k, d] + origin[k, d]


@compiled
def mirror(rows: Floats, origin: Floats, spread: Floats) -> None:
    """Fills rows (K, P, D), of which the first half are steps, with the origin (K, D) plus spread
    (K, D) times each step, and in the second half with the origin minus that.
    """
    targets, population, dim = rows.shape
    half = population // 2
    for k in range(targets):
        for p in range(half):
            for d in range(dim):
                step = rows[k, p, d] * spread[k, d]
                rows[k, p, d] = origin[k, d] + step
                rows[k, half + p, d] = origin[k, d] - step


@compiled
def moments(  # noqa: C901 - one pass over the lengths and one over the sums
    rows: Floats,
    origin: Floats,
    inverse: Floats,
    reach: float,
    weights: Floats,
    weights_of_squares: Floats,
    balanced: bool,
    total: Floats,
    squares: Floats,
) -> None:
    """Sums over P of weighted steps and of their weighted squares, see `_told.moments`.

    Args:
        rows: (K, P, D) latents; rows of which both weights are 0 may contain anything.
        origin: (K, D).
        inverse: (K, D) 1 over the spread.
        reach: the greatest length of a step that is not shortened.
        weights: (K, P).
        weights_of_squares: (K, P).
        balanced: whether negative weights of squares are scaled by D over the squared length.
        total: (K, D) is filled.
        squares: (K, D) is filled; (K, 0) where squares are not needed.
    """
    targets, population, dim = rows.shape
    number = rows.dtype.type
    zero, farthest = number(0), number(reach * reach)
    least: Any = number(np.finfo(rows.dtype).eps * dim)
    lanes = np.empty(LANES, rows.dtype)
    first = np.empty(population, rows.dtype)
    second = np.empty(population, rows.dtype)
    for k in range(targets):
        for p in range(population):
            w, v = weights[k, p], weights_of_squares[k, p]
            if w != zero or v != zero:
                squared = _squared_length(lanes, rows[k, p], origin[k], inverse[k])
                if not squared < np.inf:
                    w, v = zero, zero
                elif squared > farthest:
                    shrink = number(reach) / np.sqrt(squared)
                    w, v, squared = w * shrink, v * (shrink * shrink), farthest
                if balanced and v < zero:
                    v *= number(dim) / max(squared, least)
            first[p], second[p] = w, v
        for start in range(0, dim, STRETCH):
            part = slice(start, min(start + STRETCH, dim))
            o, i, t = origin[k, part], inverse[k, part], total[k, part]
            t[:] = 0
            if squares.shape[1] > 0:
                s = squares[k, part]
                s[:] = 0
                for p in range(population):
                    if first[p] != zero or second[p] != zero:
                        _add_both(t, s, rows[k, p, part], o, i, first[p], second[p])
            else:
                for p in range(population):
                    if first[p] != zero:
                        _add(t, rows[k, p, part], o, i, first[p])


@compiled
def _squared_length(lanes: Floats, row: Floats, origin: Floats, inverse: Floats) -> Any:
    """The squared length of one step; `lanes` (LANES,) is overwritten."""
    whole = len(row) - len(row) % LANES
    lanes[:] = 0
    for start in range(0, whole, LANES):
        for j in range(LANES):
            z = (row[start + j] - origin[start + j]) * inverse[start + j]
            lanes[j] += z * z
    for j in range(len(row) - whole):
        z = (row[whole + j] - origin[whole + j]) * inverse[whole + j]
        lanes[j] += z * z
    width = LANES // 2
    while width > 0:
        for j in range(width):
            lanes[j] += lanes[width + j]
        width //= 2
    return lanes[0]


# The innermost loops are functions of their own, since the compiler then sees that the arrays do
# not overlap.


@compiled
def _add(total: Floats, row: Floats, origin: Floats, inverse: Floats, weight: float) -> None:
    """Adds weighted steps."""
    for j in range(len(row)):
        total[j] += weight * ((row[j] - origin[j]) * inverse[j])


@compiled
def _add_both(
    total: Floats,
    squares: Floats,
    row: Floats,
    origin: Floats,
    inverse: Floats,
    weight: float,
    weight_of_square: float,
) -> None:
    """Adds weighted steps and weighted squares of steps."""
    for j in range(len(row)):
        z = (row[j] - origin[j]) * inverse[j]
        total[j] += weight * z
        squares[j] += weight_of_square * (z * z)
