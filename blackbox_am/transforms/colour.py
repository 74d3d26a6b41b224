"""Random colours: an offset and a scale of each channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from blackbox_am.core.constants import Constants
from blackbox_am.core.parameters import check
from blackbox_am.core.transform import Draw, Drawn, Transform


@dataclass(frozen=True)
class Colour(Transform):
    """Changes each channel x to (x - m) / s, with m and s of the channel drawn at random.

    m is uniform between -offset and offset, and the logarithm of s is uniform between -scale and
    scale. Source: A. Ghiasi, H. Kazemi et al., "What do Vision Transformers Learn? A Visual
    Exploration" (2022), with offset and scale 1 and without a limit of the values; set `clip` of
    the chain to false for this.

    Attributes:
        offset: largest m to either side, in units of the stimulus.
        scale: largest logarithm of s to either side.

    Raises:
        InvalidSpec: for a number out of range.
    """

    kind: ClassVar[str] = "colour"

    offset: float = 0.2
    scale: float = 0.2

    def __post_init__(self) -> None:
        check(0 <= self.offset <= 10, "offset", "0 to 10", self.offset)
        check(0 <= self.scale <= 10, "scale", "0 to 10", self.scale)

    def draw(self, draw: Draw) -> Drawn:
        numbers = draw.signed(2, 1, draw.channels, 1, 1)
        constants = Constants(
            lambda: (self.offset * numbers[0], torch.exp(-self.scale * numbers[1]))
        )

        def change(canvas: torch.Tensor) -> torch.Tensor:
            offset, factor = (number.to(canvas) for number in constants.on(canvas.device))
            return (canvas - offset) * factor

        return change
