"""Changes of an input, in units of a ball, as latents of a box.

A box is the ball of the attack: a latent at its centre changes nothing, and a coordinate at its
bound changes by the whole radius. `perturbation` with ``squash = false`` renders such latents.
"""

from __future__ import annotations

import torch

from blackbox_am.core.space import Box, Space


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
