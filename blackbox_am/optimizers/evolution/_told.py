"""The evaluated latents of a generation, as steps from the mean.

Steps are computed from the evaluated latents, since the space may have projected what was asked. A
sampled step is almost never longer than sqrt(D) + 3. A latent that the state did not propose can be
much further away and would distort the state, so its step is shortened to twice that length (the
treatment of injected solutions: N. Hansen, arXiv:1110.4181, with a wider limit).

Strategies whose steps are independent in every coordinate use `drawn` and `moments`. On the CPU
these pass over the latents of one target after the other with the compiled kernels of `_kernels`,
and store no steps. On other devices torch stores the steps of all targets. The two agree to
rounding.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch

from blackbox_am.core import blocks
from blackbox_am.core.rng import Stream
from blackbox_am.optimizers._frame import Frame
from blackbox_am.optimizers._targetwise import norms, possible, weighted_sum
from blackbox_am.optimizers.evolution._evolution import covariance_weights

SLAB = 2**18
"""Bytes of latents that are drawn and then scaled while they are in the cache; one target has more
in high dimensions."""


def drawn(
    frame: Frame, mean: torch.Tensor, spread: torch.Tensor, stream: Stream, population: int
) -> torch.Tensor:
    """(K, P, D) latents: mean (K, D) plus spread (K, D) times normal numbers of `stream`."""
    targets, dim = mean.shape
    if mean.device.type != "cpu":
        return proposals(frame, mean, spread, stream.normal(population, dim))
    # The import of numba takes a second.
    from blackbox_am.optimizers.evolution import _kernels as kernels

    latents = blocks.empty(targets, population, dim, dtype=mean.dtype)
    origin, unit = frame.outward(mean), frame.scale * spread
    for slab in slabs(latents):
        stream.fill_normal(latents, range(targets)[slab])
        kernels.scale(latents[slab].numpy(), origin[slab].numpy(), unit[slab].numpy())
    return latents


def drawn_in_pairs(
    frame: Frame, mean: torch.Tensor, spread: torch.Tensor, stream: Stream, population: int
) -> torch.Tensor:
    """`drawn` for an even population, in which row i + P/2 mirrors row i at the mean."""
    targets, dim = mean.shape
    half = population // 2
    origin, unit = frame.outward(mean), frame.scale * spread
    if mean.device.type != "cpu":
        steps = stream.normal(half, dim) * unit.unsqueeze(1)
        return torch.cat([origin.unsqueeze(1) + steps, origin.unsqueeze(1) - steps], dim=1)
    from blackbox_am.optimizers.evolution import _kernels as kernels

    latents = blocks.empty(targets, population, dim, dtype=mean.dtype)
    for slab in slabs(latents):
        stream.fill_normal(latents[:, :half], range(targets)[slab])
        kernels.mirror(latents[slab].numpy(), origin[slab].numpy(), unit[slab].numpy())
    return latents


def slabs(latents: torch.Tensor) -> Iterator[slice]:
    """Parts of the K axis of latents (K, P, D), each of about `SLAB` bytes or of one target."""
    targets = len(latents)
    size = max(1, SLAB // max(1, latents[0].nbytes))
    for first in range(0, targets, size):
        yield slice(first, min(first + size, targets))


def moment(
    frame: Frame,
    latents: torch.Tensor,
    mean: torch.Tensor,
    spread: torch.Tensor,
    weights: torch.Tensor,
) -> torch.Tensor:
    """The first of the two sums of `moments`."""
    if mean.device.type != "cpu":
        return moments_by_torch(frame, latents, mean, spread, weights, weights)[0]
    return _sums(frame, latents, mean, spread, weights, weights, mean.new_empty(len(mean), 0))


def moments(
    frame: Frame,
    latents: torch.Tensor,
    mean: torch.Tensor,
    spread: torch.Tensor,
    weights: torch.Tensor,
    weights_of_squares: torch.Tensor,
    *,
    balanced: bool = False,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Two sums (K, D) over P: of weights (K, P) times the steps of latents (K, P, D) from the mean
    (K, D) in units of the spread, and of `weights_of_squares` (K, P) times their squares.

    Steps that are too long are shortened, and steps whose length is not finite count as 0. Both
    weights of a row that did not come back must be 0.

    Args:
        frame: the frame of the space.
        latents, mean, weights, weights_of_squares: see above.
        spread: (K, D) or (K, 1).
        balanced: whether negative weights of squares are scaled by D over the squared length of
            the step, see `covariance_weights`.
    """
    by = (frame, latents, mean, spread, weights, weights_of_squares)
    if mean.device.type != "cpu":
        return moments_by_torch(*by, balanced=balanced)
    squares = torch.empty_like(mean)
    return _sums(*by, squares, balanced=balanced), squares


def moments_by_torch(
    frame: Frame,
    latents: torch.Tensor,
    mean: torch.Tensor,
    spread: torch.Tensor,
    weights: torch.Tensor,
    weights_of_squares: torch.Tensor,
    *,
    balanced: bool = False,
) -> tuple[torch.Tensor, torch.Tensor]:
    """`moments` on any device."""
    counts = (weights != 0) | (weights_of_squares != 0)
    steps = steps_of(frame, latents, mean, spread, counts)
    shrink, squared = shorten(steps, mean.shape[-1])
    if balanced:
        weights_of_squares = covariance_weights(weights_of_squares, squared, mean.shape[-1])
    total = weighted_sum(weights * shrink, steps)
    return total, weighted_sum(weights_of_squares * shrink.square(), steps.square_())


def _sums(
    frame: Frame,
    latents: torch.Tensor,
    mean: torch.Tensor,
    spread: torch.Tensor,
    weights: torch.Tensor,
    weights_of_squares: torch.Tensor,
    squares: torch.Tensor,
    *,
    balanced: bool = False,
) -> torch.Tensor:
    """The first sum of `moments`; the second is written into `squares` (K, D), unless it is
    (K, 0).
    """
    # The import of numba takes a second.
    from blackbox_am.optimizers.evolution import _kernels as kernels

    total = torch.empty_like(mean)
    kernels.moments(
        latents.to(mean.dtype).contiguous().numpy(),
        frame.outward(mean).numpy(),
        (frame.scale * spread).reciprocal_().numpy(),
        reach(mean.shape[-1]),
        weights.contiguous().numpy(),
        weights_of_squares.contiguous().numpy(),
        balanced,
        total.numpy(),
        squares.numpy(),
    )
    return total


def reach(dim: int) -> float:
    """The greatest length of a whitened step in `dim` dimensions that is not shortened."""
    return 2 * (math.sqrt(dim) + 3)


def proposals(
    frame: Frame, mean: torch.Tensor, spread: torch.Tensor, normal: torch.Tensor
) -> torch.Tensor:
    """(K, P, D) latents: mean (K, D) plus spread (K, D) or (K, 1) times `normal` (K, P, D),
    which is overwritten.
    """
    origin, unit = frame.outward(mean), frame.scale * spread
    return normal.mul_(unit.unsqueeze(1)).add_(origin.unsqueeze(1))


def steps_of(
    frame: Frame,
    latents: torch.Tensor,
    mean: torch.Tensor,
    spread: torch.Tensor,
    valid: torch.Tensor,
) -> torch.Tensor:
    """(K, P, D): the evaluated latents, as steps from `mean` in units of `spread`, which is (K, D)
    or (K, 1); 0 if `valid` (K, P) is False.
    """
    origin, inverse = frame.outward(mean), 1 / (frame.scale * spread)
    steps = latents - origin.unsqueeze(1)
    steps *= inverse.unsqueeze(1)
    return steps.masked_fill_(~valid.unsqueeze(-1), 0.0) if possible(~valid) else steps


def shorten(white: torch.Tensor, dim: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Factors (K, P) that bring whitened steps (K, P, D) within reach, and the squared lengths
    (K, P) that they then have.

    A step whose length is not finite is set to 0 in place.
    """
    lengths = norms(white)
    longest = reach(dim)
    if not possible(~(lengths <= longest)):
        return torch.ones_like(lengths), lengths.square()
    finite = lengths.isfinite()
    lengths = torch.where(finite, lengths, torch.inf)
    white.masked_fill_(~finite.unsqueeze(-1), 0.0)
    return longest / lengths.clamp(min=longest), lengths.clamp(max=longest).square()
