"""Random rotations."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch

from blackbox_am.core.parameters import check
from blackbox_am.core.transform import Affine, Draw, affine, check_fill


@dataclass(frozen=True)
class Rotate(Affine):
    """Rotates an image about its middle.

    The angle is uniform between -degrees and degrees. Source: the rotation of Olah, Mordvintsev
    and Schubert, "Feature Visualization" (Distill, 2017), which chooses among angles of a list.

    Attributes:
        degrees: largest angle to either side.
        fill: value of the points from outside.

    Raises:
        InvalidSpec: for a number out of range.
    """

    kind: ClassVar[str] = "rotate"
    images_only: ClassVar[bool] = True

    degrees: float = 10.0
    fill: float = 0.5

    def __post_init__(self) -> None:
        check(0 <= self.degrees <= 180, "degrees", "0 to 180 degrees", self.degrees)
        check_fill(self.fill)

    def matrix(self, draw: Draw) -> torch.Tensor:
        return affine(angle=math.radians(self.degrees) * float(draw.signed(1)))
