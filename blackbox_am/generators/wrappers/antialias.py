"""Low-pass filter of images and time series."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch

from blackbox_am.core.constants import Constants
from blackbox_am.core.generator import bounded
from blackbox_am.core.generator_wrapper import GeneratorWrapper
from blackbox_am.core.parameters import check

REACH = 3.0
"""The kernel is truncated at this number of deviations; 0.3 % of its mass is outside."""


@dataclass(frozen=True)
class Antialias(GeneratorWrapper):
    """A low-pass filter: a Gaussian blur of images, or of series along time.

    A search through a generator without an image prior finds meaningless patterns of single pixels
    that drive the unit. The blur removes such patterns before they are measured. The amplitude of a
    wave of f cycles per pixel is multiplied by exp(-2 (pi sigma f)^2). Beyond its edges, a stimulus
    is continued with its edge values.

    Attributes:
        sigma: deviation of the Gaussian, in pixels.

    Raises:
        InvalidSpec: for a sigma that is not positive; when the stimulus shape is read, if the inner
            stimuli are neither images (channels, height, width) nor series (channels, steps).
    """

    kind: ClassVar[str] = "antialias"

    sigma: float = 0.7

    def __post_init__(self) -> None:
        super().__post_init__()
        check(0 < self.sigma < math.inf, "sigma", "a positive number of pixels", self.sigma)

    def around(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        expected = "a generator of images (channels, height, width) or series (channels, steps)"
        check(len(shape) in (2, 3), "sigma", expected, shape)
        return shape

    def changed(self, stimuli: torch.Tensor) -> torch.Tensor:
        # Products with small matrices: many times the speed of a convolution of few channels.
        matrices = self._matrices.on(stimuli.device)
        made = torch.matmul(stimuli, matrices[-1].T)
        if len(matrices) == 2:
            made = torch.matmul(matrices[0], made)
        return bounded(made)  # rounding can move a mean outside [0, 1] by one bit

    def undone(self, stimuli: torch.Tensor) -> torch.Tensor:
        """The stimuli themselves: undoing a blur would amplify noise."""
        return stimuli

    @cached_property
    def _matrices(self) -> Constants:
        """One matrix for each side: (height, height) and (width, width), or (steps, steps)."""
        return Constants(lambda: tuple(blur(n, self.sigma) for n in self.stimulus_shape[1:]))


def blur(side: int, sigma: float) -> torch.Tensor:
    """(side, side) float32: row i is the Gaussian about i, sum 1.

    The Gaussian is truncated at `REACH` deviations; its mass beyond the edges is added to the
    edges.
    """
    reach = math.ceil(REACH * sigma)
    steps = torch.arange(-reach, reach + 1)
    weights = torch.exp(-(steps.double() ** 2) / (2 * sigma**2))
    places = (torch.arange(side)[:, None] + steps).clamp(0, side - 1)
    matrix = torch.zeros(side, side, dtype=torch.float64)
    matrix.scatter_add_(1, places, (weights / weights.sum()).expand(side, -1))
    return matrix.to(torch.float32)
