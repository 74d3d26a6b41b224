"""Random shifts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from blackbox_am.core.parameters import check
from blackbox_am.core.transform import Affine, Draw, affine, check_fill


@dataclass(frozen=True)
class Jitter(Affine):
    """Shifts an image to a random place, or a series in time.

    The shift is uniform between -amount and amount in each direction, and need not be a whole
    number of pixels. Source: the jitter of Olah, Mordvintsev and Schubert, "Feature Visualization"
    (Distill, 2017), which shifts by whole pixels.

    Attributes:
        amount: largest shift in each direction, as a fraction of the side.
        fill: value of the points from outside.

    Raises:
        InvalidSpec: for a number out of range.
    """

    kind: ClassVar[str] = "jitter"

    amount: float = 0.0625
    fill: float = 0.5

    def __post_init__(self) -> None:
        check(0 <= self.amount < 1, "amount", "0 to below 1", self.amount)
        check_fill(self.fill)

    def matrix(self, draw: Draw) -> torch.Tensor:
        right, down = (draw.signed(2) * self.amount).tolist()
        return affine(move=(right * draw.width, down * draw.height if draw.height > 1 else 0.0))
