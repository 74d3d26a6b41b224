"""Points near the boundary between two labels, for K targets at once."""

from __future__ import annotations

from typing import Literal

import torch

from blackbox_am.core.rng import Stream
from blackbox_am.optimizers._targetwise import for_each, norms, possible
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
    deviation = (reach / (channels * height * width) ** 0.5).to(noise)
    if step:
        noise.mul_((deviation / step)[:, None, None, None, None])
        noise.add_(stream.uniform(rows, channels, height, width)).floor_().mul_(step)
    else:
        noise.mul_(deviation[:, None, None, None, None])
    places = torch.arange(height, device=parts.device)
    part = places * parts[:, None] // height
    if possible(part != places):
        noise = for_each(lambda mine, row: mine.index_select(2, row), noise, part)
    flat: torch.Tensor = noise.flatten(2)
    return flat
