"""Points near the boundary between two labels, for K targets at once."""

from __future__ import annotations

from typing import Literal

import torch

from blackbox_am.core.rng import Stream
from blackbox_am.optimizers._targetwise import norms
from blackbox_am.optimizers.attacks._squares import Image

Norm = Literal["linf", "l2"]


def length(changes: torch.Tensor, norm: Norm) -> torch.Tensor:
    """(K,) float64: norms of changes (K, D)."""
    lengths = norms(changes) if norm == "l2" else changes.abs().amax(-1)
    return lengths.to(torch.float64)


def between(goal: torch.Tensor, parts: torch.Tensor, norm: Norm) -> torch.Tensor:
    """(K, n, D): changes on the way from 0 to `goal` (K, D) whose norms are `parts` (K, n) of its
    norm: for `l2` on the straight line, for `linf` the goal cut off at a box.
    """
    parts, goal = parts.to(goal)[..., None], goal[:, None]
    if norm == "l2":
        return parts * goal
    bound = parts * goal.abs().amax(-1, keepdim=True)
    return torch.minimum(torch.maximum(goal, -bound), bound)


def rounded(changes: torch.Tensor, step: float) -> torch.Tensor:
    """`changes` in whole steps; as they are if `step` is 0."""
    return (changes / step).round() * step if step else changes


def probes(
    image: Image, parts: torch.Tensor, reach: torch.Tensor, step: float, stream: Stream, rows: int
) -> torch.Tensor:
    """(K, rows, D) random changes of independent values, or of equal values in parts of a column.

    Changes of whole steps are rounded at random, up or down, so that their expectation is that of
    the unrounded changes, however small these are. Rounding to the nearest step would leave nothing
    of a change of less than half a step.

    Args:
        image: (channels, height, width).
        parts: (K,) int64, in how many parts of equal values a column of each channel is divided.
        reach: (K,) the expected norm of an unrounded change, in units of the ball.
        step: the step of changes; 0 for real numbers.
        stream: random numbers.
        rows: number of probes.
    """
    channels, height, width = image
    noise = stream.normal(rows, channels, height, width)
    dither = stream.uniform(rows, channels, height, width) if step else noise
    part = torch.arange(height, device=parts.device) * parts[:, None] // height
    same = part[:, None, None, :, None].expand(noise.shape)
    deviation = reach / (channels * height * width) ** 0.5
    change = noise.gather(3, same) * deviation.to(noise)[:, None, None, None, None]
    if step:
        change = (change / step + dither.gather(3, same)).floor() * step
    flat: torch.Tensor = change.flatten(2)
    return flat
