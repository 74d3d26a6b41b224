"""Random shifts around the edge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from blackbox_am.core.parameters import check
from blackbox_am.core.transform import Draw, Drawn, Transform


@dataclass(frozen=True)
class Roll(Transform):
    """Shifts an image by whole pixels, or a series by whole steps; what leaves at one edge enters
    at the opposite edge.

    The shift is uniform between -amount and amount in each direction. Source: A. Ghiasi, H. Kazemi
    et al., "What do Vision Transformers Learn? A Visual Exploration" (2022), with 32 of 224 pixels.

    Attributes:
        amount: largest shift in each direction, as a fraction of the side.

    Raises:
        InvalidSpec: for a number out of range.
    """

    kind: ClassVar[str] = "roll"

    amount: float = 0.125

    def __post_init__(self) -> None:
        check(0 <= self.amount <= 0.5, "amount", "0 to 0.5", self.amount)

    def draw(self, draw: Draw) -> Drawn:
        down, right = draw.signed(2).tolist()
        shifts = (
            round(down * self.amount * draw.height) if draw.height > 1 else 0,
            round(right * self.amount * draw.width),
        )

        def change(canvas: torch.Tensor) -> torch.Tensor:
            return canvas.roll(shifts, (2, 3))

        return change
