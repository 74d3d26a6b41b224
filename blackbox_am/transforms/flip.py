"""Random reflections."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from blackbox_am.core.parameters import check
from blackbox_am.core.transform import Draw, Drawn, Transform


@dataclass(frozen=True)
class Flip(Transform):
    """Exchanges left and right, or above and below, with given probabilities.

    A series is reversed in time with the probability `horizontal`.

    Attributes:
        horizontal: probability that left and right are exchanged.
        vertical: probability that above and below are exchanged.

    Raises:
        InvalidSpec: for a number out of range.
    """

    kind: ClassVar[str] = "flip"

    horizontal: float = 0.5
    vertical: float = 0.0

    def __post_init__(self) -> None:
        for name in ("horizontal", "vertical"):
            value = getattr(self, name)
            check(0 <= value <= 1, name, "a probability, 0 to 1", value)

    def draw(self, draw: Draw) -> Drawn:
        left, upper = draw.uniform(2).tolist()
        axes = [2] * (upper < self.vertical) + [3] * (left < self.horizontal)

        def change(canvas: torch.Tensor) -> torch.Tensor:
            return canvas.flip(axes) if axes else canvas

        return change
