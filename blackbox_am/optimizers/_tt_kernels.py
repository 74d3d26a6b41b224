"""Sweeps through a tensor train for the CPU, compiled when they are first called.

Samples are the innermost axis of every buffer, so that the compiler turns its loops into
vector instructions. No sum is reordered: a sample comes out the same whoever is beside it,
and one call serves one target, so that a target comes out the same whatever the others are.
The mathematics are those of `_tt_law`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numba
import numpy as np
from numpy.typing import NDArray

from blackbox_am.optimizers._tt_law import SHORTEST, TINY

Floats = NDArray[np.floating]
F = TypeVar("F", bound=Callable[..., object])



BLENDED = 8
"""Up to this size of a mode, all its matrices are applied and one product is kept, which is
faster than to pick a matrix a sample."""


def compiled(function: F) -> F:
    """`function`, compiled, and kept on disk where there is a place to keep it."""
    try:
        return numba.njit(function, cache=True, error_model="numpy", nogil=True)  # type: ignore[no-any-return]
    except RuntimeError:  # no folder that can be written to
        return numba.njit(function, error_model="numpy", nogil=True)  # type: ignore[no-any-return]


@compiled
def right_sweep(cores: Floats) -> tuple[Floats, Floats, Floats]:
    """Right vectors (M, r) and their inverse lengths (M,) before scaling, and the cores applied
    to them (M, n, r)."""
    modes, size, rank, _ = cores.shape
    applied = np.empty((modes, size, rank), cores.dtype)
    right = np.empty((modes, rank), cores.dtype)
    scale = np.empty(modes, cores.dtype)
    z = np.zeros(rank, cores.dtype)
    w = np.empty(rank, cores.dtype)
    z[0] = 1
    for j in range(modes - 1, -1, -1):
        for b in range(rank):
            right[j, b] = z[b]
            w[b] = 0
        for i in range(size):
            for a in range(rank):
                total = cores[j, i, a, 0] * z[0]
                for b in range(1, rank):
                    total += cores[j, i, a, b] * z[b]
                applied[j, i, a] = total
                w[a] += total
        square = w[0] * w[0]
        for a in range(1, rank):
            square += w[a] * w[a]
        scale[j] = 1 / np.sqrt(max(square, cores.dtype.type(SHORTEST)))
        for a in range(rank):
            z[a] = w[a] * scale[j]
    return applied, right, scale


@compiled
def draw(cores: Floats, uniform: Floats, floor: float, out: NDArray[np.int32]) -> None:
    """Fills `out` (M, P) with samples, by inverting their cumulative sums at `uniform` (M, P)."""
    modes, size, rank, _ = cores.shape
    count = uniform.shape[1]
    number = cores.dtype.type
    kept = number(1 - floor)
    share = number(floor / size)
    tiny = number(TINY)
    applied, _, _ = right_sweep(cores)
    q = np.zeros((rank, count), cores.dtype)
    q[0, :] = 1
    moved = np.empty((rank, count), cores.dtype)
    sums = np.empty((size, count), cores.dtype)
    total = np.empty(count, cores.dtype)
    work = np.empty(count, cores.dtype)
    for j in range(modes):
        total[:] = 0
        for i in range(size):
            work[:] = 0
            for a in range(rank):
                c = applied[j, i, a]
                for s in range(count):
                    work[s] += q[a, s] * c
            for s in range(count):
                total[s] += abs(work[s]) + tiny
                sums[i, s] = total[s]
        for s in range(count):
            work[s] = uniform[j, s] * total[s]
            out[j, s] = 0
        for i in range(size - 1):
            below = share * (i + 1)
            for s in range(count):
                out[j, s] += work[s] >= kept * sums[i, s] + below * total[s]
        _advance(cores[j], out[j], q, moved, work)


@compiled
def _advance(
    core: Floats, picks: NDArray[np.int32], q: Floats, moved: Floats, work: Floats
) -> None:
    """Takes left vectors `q` (r, P) through the picked matrices, and scales them to length 1;
    `work` (P,) then holds by what they were multiplied."""
    size, rank, _ = core.shape
    count = q.shape[1]
    number = core.dtype.type
    moved[:] = 0
    if size <= BLENDED:
        for i in range(size):
            for a in range(rank):
                for s in range(count):
                    work[s] = q[a, s] if picks[s] == i else number(0)
                for b in range(rank):
                    c = core[i, a, b]
                    for s in range(count):
                        moved[b, s] += work[s] * c
    else:
        for s in range(count):
            for a in range(rank):
                for b in range(rank):
                    moved[b, s] += q[a, s] * core[picks[s], a, b]
    work[:] = 0
    for b in range(rank):
        for s in range(count):
            work[s] += moved[b, s] * moved[b, s]
    for s in range(count):
        work[s] = 1 / np.sqrt(max(work[s], number(SHORTEST)))
    for b in range(rank):
        for s in range(count):
            q[b, s] = moved[b, s] * work[s]


@compiled
def ascent(
    cores: Floats, picks: NDArray[np.int32], weights: Floats, floor: float, out: Floats
) -> None:
    """Fills `out` (M, n, r, r) with the gradient of the sum over samples of weights (E,) times
    log-likelihoods of samples `picks` (M, E)."""
    modes, size, rank, _ = cores.shape
    count = picks.shape[1]
    number = cores.dtype.type
    kept = number(1 - floor)
    share = number(floor / size)
    tiny = number(TINY)
    applied, right, scale = right_sweep(cores)
    # Left to right: left vectors before each mode, their scales, and the signed weights.
    left = np.empty((modes, rank, count), cores.dtype)
    scales = np.empty((modes, count), cores.dtype)
    signed = np.empty((modes, size, count), cores.dtype)
    q = np.zeros((rank, count), cores.dtype)
    q[0, :] = 1
    moved = np.empty((rank, count), cores.dtype)
    for j in range(modes):
        left[j] = q
        for i in range(size):
            signed[j, i, :] = 0
            for a in range(rank):
                c = applied[j, i, a]
                for s in range(count):
                    signed[j, i, s] += q[a, s] * c
        _advance(cores[j], picks[j], q, moved, scales[j])
    # Right to left: slopes of left vectors, and of the cores applied to right vectors.
    slopes = np.zeros((modes, size, rank), cores.dtype)
    total = np.empty(count, cores.dtype)
    chosen = np.empty(count, cores.dtype)
    factor = np.empty(count, cores.dtype)
    slope = np.empty(count, cores.dtype)
    later = np.zeros((rank, count), cores.dtype)
    out[:] = 0
    for j in range(modes - 1, -1, -1):
        total[:] = 0
        for i in range(size):
            for s in range(count):
                total[s] += abs(signed[j, i, s]) + tiny
        for s in range(count):
            chosen[s] = (abs(signed[j, picks[j, s], s]) + tiny) / total[s]
            factor[s] = weights[s] * kept / ((kept * chosen[s] + share) * total[s])
        for b in range(rank):
            for s in range(count):
                moved[b, s] = later[b, s] * scales[j, s]
                later[b, s] = 0
        for s in range(count):
            i = picks[j, s]
            for a in range(rank):
                x = left[j, a, s]
                back = number(0)
                for b in range(rank):
                    out[j, i, a, b] += x * moved[b, s]
                    back += cores[j, i, a, b] * moved[b, s]
                later[a, s] = back
        for i in range(size):
            for s in range(count):
                sign = number(1) if signed[j, i, s] >= 0 else number(-1)
                hit = number(1) if picks[j, s] == i else number(0)
                slope[s] = factor[s] * (hit - chosen[s]) * sign
            for a in range(rank):
                c = applied[j, i, a]
                dot = number(0)
                for s in range(count):
                    later[a, s] += slope[s] * c
                    dot += slope[s] * left[j, a, s]
                slopes[j, i, a] = dot
    # Left to right: slopes of right vectors, which every core to their right has a part in.
    z = np.zeros(rank, cores.dtype)
    passed = np.empty(rank, cores.dtype)
    for j in range(modes):
        for a in range(rank):
            passed[a] = z[a] * scale[j] if j > 0 else number(0)
            z[a] = 0
        for i in range(size):
            for a in range(rank):
                h = slopes[j, i, a] + passed[a]
                for b in range(rank):
                    out[j, i, a, b] += h * right[j, b]
                    z[b] += h * cores[j, i, a, b]
