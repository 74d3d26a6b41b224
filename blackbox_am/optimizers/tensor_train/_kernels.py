"""Sweeps through a tensor train on the CPU, compiled at the first call.

Samples are the innermost axis of every buffer, so that the compiler turns its loops into
vector instructions. No sum is reordered, so the result for a sample does not depend on the other
samples. One call computes one target, so the result for a target does not depend on the other
targets. `_law` defines the mathematics.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from blackbox_am.optimizers._compiled import Floats, compiled

TINY = 1e-12
"""Added to every weight, so that weights that are all 0 have a distribution."""
SHORTEST = 1e-30
"""Lower bound of squared lengths."""
STRIP = 32
"""Coordinates that are transposed together, while they are in the cache."""
MANY = 4
"""From this number of samples, all samples are taken through a mode at once."""
BLENDED = 8
"""Up to this size of a mode, all its matrices are applied and one product is kept. This is faster
than picking one matrix for each sample.
"""


@compiled
def transpose(numbers: NDArray[np.int32], out: NDArray[np.int64]) -> None:
    """Fills `out` (K, P, D) with `numbers` (K, D, P)."""
    targets, dim, population = numbers.shape
    for k in range(targets):
        for start in range(0, dim, STRIP):
            stop = min(start + STRIP, dim)
            for p in range(population):
                for d in range(start, stop):
                    out[k, p, d] = numbers[k, d, p]


@compiled
def right_sweep(cores: Floats) -> tuple[Floats, Floats, Floats]:
    """Right vectors (M, r) and their inverse lengths (M,) before scaling, and the cores applied
    to them (M, n, r).
    """
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
def draw(cores: Floats, uniform: Floats, floor: float, bits: int, out: NDArray[np.int32]) -> None:
    """Fills `out` (M / bits, P) with samples, by inverting cumulative sums at `uniform` (M, P).
    The values of `bits` modes make one number, the first the lowest.
    """
    modes, size, rank, _ = cores.shape
    count = uniform.shape[1]
    number = cores.dtype.type
    level, stretch = number(floor), number(1 / (1 - floor) if floor < 1 else 0)
    redrawn = number(size / floor if floor > 0 else 0)
    last, keep = np.int32(size - 1), np.int32(-1)
    tiny = number(TINY)
    applied, _, _ = right_sweep(cores)
    q = np.zeros((rank, count), cores.dtype)
    q[0, :] = 1
    moved = np.empty((rank, count), cores.dtype)
    sums = np.empty((size, count), cores.dtype)
    total = np.empty(count, cores.dtype)
    work = np.empty(count, cores.dtype)
    picks = np.empty(count, np.int32)
    values = np.empty(count, np.int32)
    out[:] = 0
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
            x = uniform[j, s] * redrawn
            value = np.int32(x)
            again = uniform[j, s] < level
            values[s] = min(value, last) if again else keep
            rest = x - number(value) if again else (uniform[j, s] - level) * stretch
            work[s] = rest * total[s]
            picks[s] = 0
        for i in range(size - 1):
            for s in range(count):
                picks[s] += np.int32(work[s] >= sums[i, s])
        number_of, place = j // bits, j % bits
        for s in range(count):
            out[number_of, s] += (picks[s] if values[s] < 0 else values[s]) << place
        _advance(cores[j], picks, q, moved, work)


@compiled
def _advance(  # noqa: C901 - one branch for each layout of a mode
    core: Floats, picks: NDArray[np.int32], q: Floats, moved: Floats, work: Floats
) -> None:
    """Takes left vectors `q` (r, P) through the picked matrices, and scales them to length 1;
    `work` (P,) then holds the scaling factors.
    """
    size, rank, _ = core.shape
    count = q.shape[1]
    number = core.dtype.type
    if count < MANY:
        _advance_few(core, picks, q, moved, work)
        return
    moved[:] = 0
    if size == 2:
        for a in range(rank):
            for b in range(rank):
                c, d = core[0, a, b], core[1, a, b]
                for s in range(count):
                    moved[b, s] += q[a, s] * (d if picks[s] else c)
    elif size <= BLENDED:
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
        work[s] = number(1) / np.sqrt(max(work[s], number(SHORTEST)))
    for b in range(rank):
        for s in range(count):
            q[b, s] = moved[b, s] * work[s]


@compiled
def _advance_few(
    core: Floats, picks: NDArray[np.int32], q: Floats, moved: Floats, work: Floats
) -> None:
    """`_advance`, one sample after the other."""
    rank = core.shape[1]
    for s in range(q.shape[1]):
        matrix = core[picks[s]]
        square = core.dtype.type(0)
        for b in range(rank):
            total = q[0, s] * matrix[0, b]
            for a in range(1, rank):
                total += q[a, s] * matrix[a, b]
            moved[b, s] = total
            square += total * total
        work[s] = core.dtype.type(1) / np.sqrt(max(square, core.dtype.type(SHORTEST)))
        for b in range(rank):
            q[b, s] = moved[b, s] * work[s]


@compiled
def left_sweep(
    cores: Floats, applied: Floats, picks: NDArray[np.int32]
) -> tuple[Floats, Floats, Floats]:
    """Left vectors (M, r, E) before each mode of samples `picks` (M, E), their scaling factors
    after each mode (M, E), and the signed weights of its values (M, n, E).
    """
    modes, size, rank, _ = cores.shape
    count = picks.shape[1]
    left = np.empty((modes, rank, count), cores.dtype)
    scales = np.empty((modes, count), cores.dtype)
    signed = np.empty((modes, size, count), cores.dtype)
    q = np.zeros((rank, count), cores.dtype)
    q[0, :] = 1
    moved = np.empty((rank, count), cores.dtype)
    work = np.empty(count, cores.dtype)
    for j in range(modes):
        for a in range(rank):
            for s in range(count):
                left[j, a, s] = q[a, s]
        for i in range(size):
            for s in range(count):
                work[s] = 0
            for a in range(rank):
                c = applied[j, i, a]
                for s in range(count):
                    work[s] += q[a, s] * c
            for s in range(count):
                signed[j, i, s] = work[s]
        _advance(cores[j], picks[j], q, moved, scales[j])
    return left, scales, signed


@compiled
def slopes_of_weights(
    signed: Floats, picks: NDArray[np.int32], weights: Floats, floor: float
) -> None:
    """Replaces signed weights (M, n, E) by the slopes of the sum of log-likelihoods along
    them.
    """
    modes, size, count = signed.shape
    number = signed.dtype.type
    kept = number(1 - floor)
    share = number(floor / size)
    tiny = number(TINY)
    total = np.empty(count, signed.dtype)
    chosen = np.empty(count, signed.dtype)
    factor = np.empty(count, signed.dtype)
    for j in range(modes):
        for s in range(count):
            total[s] = 0
            chosen[s] = 0
        for i in range(size):
            for s in range(count):
                w = abs(signed[j, i, s]) + tiny
                total[s] += w
                chosen[s] += w if picks[j, s] == i else number(0)
        for s in range(count):
            chosen[s] /= total[s]
            factor[s] = weights[s] * kept / ((kept * chosen[s] + share) * total[s])
        for i in range(size):
            for s in range(count):
                hit = number(1) if picks[j, s] == i else number(0)
                slope = factor[s] * (hit - chosen[s])
                signed[j, i, s] = slope if signed[j, i, s] >= 0 else -slope


@compiled
def back_sweep(  # noqa: C901 - calls inside the sweep would cost more than its work
    cores: Floats,
    applied: Floats,
    left: Floats,
    scales: Floats,
    slope: Floats,
    picks: NDArray[np.int32],
    out: Floats,
) -> Floats:
    """Right to left: fills `out` with the part of the gradient of the cores that comes from left
    vectors, and returns the slopes of the applied cores (M, n, r).
    """
    modes, size, rank, _ = cores.shape
    count = picks.shape[1]
    slopes = np.zeros((modes, size, rank), cores.dtype)
    later = np.zeros((rank, count), cores.dtype)
    moved = np.zeros((rank, count), cores.dtype)
    turned = np.zeros((count, rank), cores.dtype)
    for j in range(modes - 1, -1, -1):
        for b in range(rank):
            for s in range(count):
                moved[b, s] = later[b, s] * scales[j, s]
                turned[s, b] = moved[b, s]
                later[b, s] = 0
        for i in range(size):
            for a in range(rank):
                for b in range(rank):
                    out[j, i, a, b] = 0
        for s in range(count):
            i = picks[j, s]
            for a in range(rank):
                x = left[j, a, s]
                for b in range(rank):
                    out[j, i, a, b] += x * turned[s, b]
        if size == 2 and count >= MANY:
            for a in range(rank):
                for b in range(rank):
                    c, d = cores[j, 0, a, b], cores[j, 1, a, b]
                    for s in range(count):
                        later[a, s] += moved[b, s] * (d if picks[j, s] else c)
        else:
            for s in range(count):
                for a in range(rank):
                    for b in range(rank):
                        later[a, s] += cores[j, picks[j, s], a, b] * moved[b, s]
        for i in range(size):
            for a in range(rank):
                c = applied[j, i, a]
                dot = cores.dtype.type(0)
                for s in range(count):
                    later[a, s] += slope[j, i, s] * c
                    dot += slope[j, i, s] * left[j, a, s]
                slopes[j, i, a] = dot
    return slopes


@compiled
def last_sweep(cores: Floats, right: Floats, scale: Floats, slopes: Floats, out: Floats) -> None:
    """Left to right: adds the part of the gradient of the cores that comes from right vectors to
    `out`.
    """
    modes, size, rank, _ = cores.shape
    z = np.zeros(rank, cores.dtype)
    passed = np.zeros(rank, cores.dtype)
    for j in range(modes):
        for a in range(rank):
            passed[a] = z[a] * scale[j] if j > 0 else cores.dtype.type(0)
            z[a] = 0
        for i in range(size):
            for a in range(rank):
                h = slopes[j, i, a] + passed[a]
                for b in range(rank):
                    out[j, i, a, b] += h * right[j, b]
                    z[b] += h * cores[j, i, a, b]


@compiled
def adam(
    point: Floats,
    slope: Floats,
    first: Floats,
    second: Floats,
    rate: float,
    decay_1: float,
    decay_2: float,
    shrink: float,
    epsilon: float,
) -> None:
    """One step of Adam up `slope`, in place; all arrays (N,)."""
    number = point.dtype.type
    step, keep, damp = number(rate), number(decay_1), number(decay_2)
    fresh, sharp = number(1 - decay_1), number(1 - decay_2)
    scale, least = number(shrink), number(epsilon)
    for i in range(len(point)):
        g = slope[i]
        m = keep * first[i] + fresh * g
        v = damp * second[i] + sharp * g * g
        first[i] = m
        second[i] = v
        point[i] += step * m / (np.sqrt(v) * scale + least)


def ascent(
    cores: Floats, picks: NDArray[np.int32], weights: Floats, floor: float, out: Floats
) -> None:
    """Fills `out` (M, n, r, r) with the gradient of the sum over samples of weights (E,) times
    log-likelihoods of samples `picks` (M, E).
    """
    applied, right, scale = right_sweep(cores)
    left, scales, slope = left_sweep(cores, applied, picks)
    slopes_of_weights(slope, picks, weights, floor)
    slopes = back_sweep(cores, applied, left, scales, slope, picks, out)
    last_sweep(cores, right, scale, slopes, out)
