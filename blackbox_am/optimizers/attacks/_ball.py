"""Changes of an input, in units of a ball, as latents of a box.

A box is the ball of the attack: a latent at its centre changes nothing, and a coordinate at its
bound changes by the whole radius. `perturbation` with ``squash = false`` renders such latents.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Self, TypeVar

import torch

from blackbox_am.core.generator import Generator
from blackbox_am.core.optimizer import Optimizer
from blackbox_am.core.oracle import Oracle
from blackbox_am.core.space import Box, Space

State = TypeVar("State")


class InBall(Optimizer[State]):
    """An attack that searches changes in a box, and asks the study's generator for their limits."""

    spaces: ClassVar[frozenset[str]] = frozenset({"box"})
    _generator: ClassVar[Generator | None] = None

    def bind(self, generator: Generator | None, network: Callable[[str], Oracle]) -> Self:
        """See `Optimizer.bind`."""
        del network
        return self.holding(_generator=generator)

    def limits(
        self, space: Space, target: torch.Tensor, like: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """See `limits_of`."""
        return limits_of(space, self._generator, target, like)


def image_of(space: Space) -> tuple[int, int, int]:
    """(channels, height, width) of a latent; a latent without an image shape is one line."""
    shape = space.spec.image_shape
    return (shape[0], shape[1], shape[2]) if shape else (1, 1, space.dim)


def latents_of(space: Space, changes: torch.Tensor) -> torch.Tensor:
    """Latents (..., D) for changes (..., D) in units of the ball: -1 is the low bound, 1 the high
    bound.
    """
    assert isinstance(space, Box)
    low, high = space.bounds(changes)
    return low + (changes + 1) * ((high - low) / 2)


def changes_of(space: Space, latents: torch.Tensor) -> torch.Tensor:
    """The inverse of `latents_of`."""
    assert isinstance(space, Box)
    low, high = space.bounds(latents)
    return (latents - low) * (2 / (high - low)) - 1


def limits_of(
    space: Space, generator: Generator | None, target: torch.Tensor, like: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Least and greatest changes, each (K or 1, D), in units of the ball: -1 and 1, or nearer to 0
    where the range of the input cuts a larger change off and the generator knows the limits.

    Args:
        space: the box.
        generator: the generator of the study; None if the study searches a bare space.
        target: (K,) int64, the position of each target in the study.
        like: (K, D) changes, for device and dtype.
    """
    limits = None if generator is None else generator.latent_limits(target)
    if limits is None:
        ones = torch.ones_like(like[:1])
        return -ones, ones
    low, high = (changes_of(space, limit.to(like.dtype)) for limit in limits)
    return low, high


def uncut(change: torch.Tensor, low: torch.Tensor, high: torch.Tensor) -> torch.Tensor:
    """`change` (K, D) with -1 or 1, in units of the ball, where the limits `low` and `high` (K or
    1, D) cut it off.
    """
    ends = torch.where(change >= high, 1.0, torch.where(change <= low, -1.0, change))
    return ends.to(change.dtype)


def step_of(generator: Generator | None) -> float:
    """The step of a change, in units of a ball from -1 to 1, where stimuli have values of whole
    steps; 0 where they are real numbers.
    """
    return 0.0 if generator is None else generator.latent_step
