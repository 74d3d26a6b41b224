"""Random scalings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from blackbox_am.core.parameters import check
from blackbox_am.core.transform import Affine, Draw, affine, check_fill


@dataclass(frozen=True)
class Scale(Affine):
    """Enlarges or shrinks an image about its middle, or a series in time.

    The factor is uniform between 1 - amount and 1 + amount. Source: the scaling of Olah,
    Mordvintsev and Schubert, "Feature Visualization" (Distill, 2017), which chooses among factors
    of a list.

    Attributes:
        amount: largest deviation of the factor from 1.
        fill: value of the points from outside.

    Raises:
        InvalidSpec: for a number out of range.
    """

    kind: ClassVar[str] = "scale"

    amount: float = 0.1
    fill: float = 0.5

    def __post_init__(self) -> None:
        check(0 <= self.amount < 1, "amount", "0 to below 1", self.amount)
        check_fill(self.fill)

    def matrix(self, draw: Draw) -> torch.Tensor:
        return affine(factor=1 + self.amount * float(draw.signed(1)))
