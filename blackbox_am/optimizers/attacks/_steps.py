"""Steps in a ball that follow a gradient or an estimate of one, for rows (K, P, D) of changes.

Changes are in units of the ball: its radius is 1. The same steps serve attacks that know the
gradient and attacks that estimate it.
"""

from __future__ import annotations

from typing import Literal

import torch

from blackbox_am.core.rng import Stream
from blackbox_am.core.space import Box, Space
from blackbox_am.optimizers._slopes import unit
from blackbox_am.optimizers._targetwise import norms

Norm = Literal["linf", "l2"]
Limits = tuple[torch.Tensor, torch.Tensor]
"""Least and greatest changes, each (K or 1, D)."""

WITHIN = 1 - 2**-20
"""The Euclidean norm of a change on the sphere. Rounding leaves it below 1, so that a generator
does not shorten the change, which would take the radial part from the gradient."""


def slopes_of(space: Space, gradients: torch.Tensor) -> torch.Tensor:
    """Gradients (..., D) with respect to changes, from gradients with respect to latents."""
    assert isinstance(space, Box)
    low, high = space.bounds(gradients)
    return gradients * ((high - low) / 2)


def direction(slopes: torch.Tensor, norm: Norm) -> torch.Tensor:
    """(K, P, D): the change of norm 1 with the largest product with `slopes` (K, P, D), which are
    finite: their signs, or the slopes divided by their Euclidean norm. It is 0 for slopes of 0.
    """
    if norm == "linf":
        return slopes.sign()
    return unit(slopes)


def within(changes: torch.Tensor, norm: Norm, limits: Limits) -> torch.Tensor:
    """`changes` (K, P, D) moved into the ball and into the limits.

    The limits contain 0, so that the second step does not leave the ball. A change in the ball and
    in the limits stays as it is.
    """
    if norm == "l2":
        lengths = norms(changes).unsqueeze(-1)
        changes = torch.where(lengths > WITHIN, changes * (WITHIN / _positive(lengths)), changes)
    low, high = (limit.unsqueeze(1) for limit in limits)
    return changes.clamp(low, high).clamp(-1, 1)


def scattered(stream: Stream, rows: int, dim: int, norm: Norm) -> torch.Tensor:
    """(K, rows, dim) random changes: uniform in the cube, or uniform on the sphere."""
    if norm == "linf":
        return stream.uniform(rows, dim) * 2 - 1
    return WITHIN * direction(stream.normal(rows, dim), norm)


def _positive(values: torch.Tensor) -> torch.Tensor:
    return values.clamp_min(torch.finfo(values.dtype).tiny)
