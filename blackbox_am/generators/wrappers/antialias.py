"""Images and series without their finest detail."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch.nn import functional

from blackbox_am.core.constants import Constants
from blackbox_am.core.generator_wrapper import GeneratorWrapper
from blackbox_am.core.ranges import check

REACH = 3.0
"""Deviations after which the kernel ends: 0.3 % of it lie further out."""


@dataclass(frozen=True)
class Antialias(GeneratorWrapper):
    """A low-pass filter: a Gaussian blur of images, or of series along their steps.

    A search through a free generator finds patterns of single pixels that drive the unit and
    mean nothing; what is blurred away cannot score. The amplitude of a wave of f cycles a
    pixel is multiplied by exp(-2 (pi sigma f)^2); beyond its edge a stimulus goes on as it
    ends.

    Attributes:
        sigma: deviation of the Gaussian, in pixels.

    Raises:
        InvalidSpec: for a sigma that is not positive; for its shape, where the stimuli within
            are neither images (channels, height, width) nor series (channels, steps).
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
        (kernel,) = self._kernel.on(stimuli.device)
        reach = len(kernel) // 2
        # Every channel is filtered alike, so channels are rows of the batch.
        images = stimuli.reshape(-1, 1, *stimuli.shape[2:])
        if stimuli.ndim == 3:
            padded = functional.pad(images, (reach, reach), mode="replicate")
            return self._bounded(functional.conv1d(padded, kernel[None, None]), stimuli)
        padded = functional.pad(images, (reach,) * 4, mode="replicate")
        across = functional.conv2d(padded, kernel[None, None, None])
        return self._bounded(functional.conv2d(across, kernel[None, None, :, None]), stimuli)

    @staticmethod
    def _bounded(filtered: torch.Tensor, stimuli: torch.Tensor) -> torch.Tensor:
        """A mean of numbers in [0, 1] is one too, but for the last bit."""
        return filtered.reshape(stimuli.shape).clamp(0, 1)

    @cached_property
    def _kernel(self) -> Constants:
        return Constants(lambda: (gaussian(self.sigma),))


def gaussian(sigma: float) -> torch.Tensor:
    """(2 r + 1,) float32, sum 1: a Gaussian of deviation `sigma` out to r = ceil(3 sigma)."""
    reach = math.ceil(REACH * sigma)
    steps = torch.arange(-reach, reach + 1, dtype=torch.float64)
    weights = torch.exp(-(steps**2) / (2 * sigma**2))
    return (weights / weights.sum()).to(torch.float32)
