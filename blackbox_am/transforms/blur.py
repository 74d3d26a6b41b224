"""Random blurring."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch.nn import functional

from blackbox_am.core.constants import Constants
from blackbox_am.core.parameters import check
from blackbox_am.core.transform import Draw, Drawn, Transform

LARGEST = 64.0
"""Largest standard deviation of a kernel, in pixels."""
REACH = 3.0
"""Reach of a kernel, in standard deviations."""


@dataclass(frozen=True)
class Blur(Transform):
    """Smooths an image, or a series in time, with a Gaussian kernel of random width.

    The standard deviation is uniform between `low` and `high`. Beyond the edge, the values at the
    edge are repeated. Source: the blurring of T. Fel et al., "Xplique" (2022), with deviations of 1
    to 1.1 pixels.

    Attributes:
        low: smallest standard deviation, in pixels or steps in time; 0 is no blurring.
        high: largest standard deviation.

    Raises:
        InvalidSpec: for numbers out of range or order.
    """

    kind: ClassVar[str] = "blur"

    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        check(0 <= self.low <= LARGEST, "low", f"0 to {LARGEST:g}", self.low)
        check(self.low <= self.high <= LARGEST, "high", f"low to {LARGEST:g}", self.high)

    def draw(self, draw: Draw) -> Drawn:
        deviation = self.low + (self.high - self.low) * float(draw.uniform(1))
        constants = Constants(lambda: (kernel(deviation),))

        def change(canvas: torch.Tensor) -> torch.Tensor:
            (weights,) = constants.on(canvas.device)
            weights = weights.to(canvas)
            smooth = _along_width(canvas, weights)
            if canvas.shape[2] > 1:
                smooth = _along_width(smooth.transpose(2, 3), weights).transpose(2, 3)
            return smooth

        return change


def kernel(deviation: float) -> torch.Tensor:
    """(2 r + 1,) float64: a Gaussian of this standard deviation, cut at `REACH` deviations, with
    sum 1.
    """
    reach = math.ceil(REACH * deviation)
    places = torch.arange(-reach, reach + 1, dtype=torch.float64)
    weights = torch.exp(-0.5 * (places / max(deviation, 1e-12)).square())
    return weights / weights.sum()


def _along_width(canvas: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    rows, channels, height, width = canvas.shape
    reach = len(weights) // 2
    single = canvas.reshape(rows * channels, 1, height, width)
    padded = functional.pad(single, (reach, reach, 0, 0), "replicate")
    return functional.conv2d(padded, weights.reshape(1, 1, 1, -1)).reshape(canvas.shape)
