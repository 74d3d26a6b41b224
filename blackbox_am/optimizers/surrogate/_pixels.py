"""Pixels of rendered stimuli as features of latents."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from blackbox_am.core.generator import Generator
from blackbox_am.core.linear_algebra import aligned
from blackbox_am.optimizers.surrogate._guide import Guide


@dataclass(frozen=True)
class Pixels(Guide):
    """The pixels of the stimuli that a generator renders.

    Attributes:
        generator: renders latents, and carries gradients.
        side: largest height and width. Larger pictures are reduced by a whole factor: each pixel is
            then the mean of a square. Stimuli that are no pictures are taken as they are.
    """

    generator: Generator
    side: int

    @property
    def width(self) -> int:
        """F."""
        *channels, height, width = (1, 1, *self.generator.stimulus_shape)
        factor = self._factor
        return math.prod(channels) * math.ceil(height / factor) * math.ceil(width / factor)

    def features(self, latents: torch.Tensor) -> torch.Tensor:
        stimuli = self.generator.render(aligned(latents)).to(latents.device, torch.float32)
        if self._factor > 1:
            stimuli = torch.nn.functional.avg_pool2d(stimuli, self._factor, ceil_mode=True)
        return stimuli.flatten(1)

    @property
    def _factor(self) -> int:
        """Height and width of the squares that are averaged."""
        shape = self.generator.stimulus_shape
        return math.ceil(max(shape[1:]) / self.side) if len(shape) == 3 else 1
