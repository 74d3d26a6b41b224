"""Images from unbounded planes: decorrelated colours, then values in [0, 1]."""

from __future__ import annotations

import math
from abc import abstractmethod
from functools import cached_property
from typing import Literal

import torch

from blackbox_am.core.generator import Generator
from blackbox_am.core.parameters import check
from blackbox_am.core.space import Space, build_space
from blackbox_am.core.spec import SpaceSpec

CYCLES = 9.0
"""The default cut-off in cycles per image: about 9^2 pi = 254 coefficients of each channel."""
BLACKEST = 1 / 512
"""Half a step of 8 bits. Values nearer to 0 or 1 are encoded as this value or as 1 minus it,
because the sigmoid reaches neither 0 nor 1.
"""

Colours = Literal["decorrelated", "independent"]
COLOURS = ("decorrelated", "independent")

CORRELATIONS = ((0.26, 0.09, 0.02), (0.27, 0.00, -0.05), (0.27, -0.09, 0.03))
"""Square root of the covariance of natural colours, from Lucid. Rows are red, green and blue;
columns are approximately brightness, blue against red, and green against both.
"""


class Drawn(Generator):
    """A generator that computes images from normal latents, without weights.

    Attributes:
        shape: (channels, height, width).
    """

    shape: tuple[int, ...]

    @property
    def space(self) -> Space:
        return self._space

    @property
    def differentiable(self) -> bool:
        return True

    @property
    def stimulus_shape(self) -> tuple[int, ...]:
        return self.shape

    @abstractmethod
    def dimension(self) -> int:
        """D."""

    @cached_property
    def _space(self) -> Space:
        return build_space(SpaceSpec("normal", self.dimension()))


def check_image(shape: tuple[int, ...], contrast: float, colours: str) -> None:
    """Checks the parameters that generators of planes share.

    Raises:
        InvalidSpec: with the name of the field.
    """
    fits = len(shape) == 3 and all(n >= 1 for n in shape)
    check(fits, "shape", "(channels, height, width), such as (3, 32, 32)", shape)
    check(0 < contrast < math.inf, "contrast", "a positive number", contrast)
    check(colours in COLOURS, "colours", " or ".join(COLOURS), colours)


def cut_off(cycles: float | None, shape: tuple[int, ...]) -> float:
    """The highest frequency in cycles per pixel, with a margin for rounding.

    Args:
        cycles: cycles along the longer side of an image; None: `CYCLES`, or a quarter of the longer
            side if that is less.
        shape: (channels, height, width).

    Raises:
        InvalidSpec: if `cycles` is not above 0.
    """
    longer = max(shape[1:])
    if cycles is None:
        cycles = min(CYCLES, longer / 4)
    check(cycles > 0, "cycles", "a positive number of cycles per image", cycles)
    return (cycles + 1e-9) / longer


def unsquashed(stimuli: torch.Tensor) -> torch.Tensor:
    """The planes whose sigmoid is `stimuli`, in float32."""
    values = stimuli.detach().to(torch.float32).clamp(BLACKEST, 1 - BLACKEST)
    return torch.logit(values)


def colour_matrix(channels: int, colours: Colours) -> torch.Tensor:
    """(C, C) float32: the matrix that maps planes to channels.

    For three decorrelated channels Lucid's matrix divided by the largest norm of its columns, else
    the identity.
    """
    if channels != 3 or colours == "independent":
        return torch.eye(channels)
    matrix = torch.tensor(CORRELATIONS, dtype=torch.float64)
    scaled: torch.Tensor = matrix / matrix.norm(dim=0).max()
    return scaled.to(torch.float32)
