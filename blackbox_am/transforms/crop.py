"""Random crops."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from blackbox_am.core.parameters import check
from blackbox_am.core.transform import Affine, Draw, affine, check_fill, scheduled

SMALLEST = 0.05
"""Smallest side of a crop, as a fraction of the side of the stimulus."""


@dataclass(frozen=True)
class Crop(Affine):
    """Cuts out a random square part of an image, or a window of a series, and enlarges the part to
    the size of the whole.

    The size of a crop is normal about `size`, and its middle is normal about the middle of the
    stimulus. Crops stay inside the stimulus unless `beyond` is true. Source: T. Fel et al.,
    "Unlocking Feature Visualization for Deeper Networks with MAgnitude Constrained Optimization"
    (2023), whose code draws crops of sizes N(size, 0.05) around N(0.5, 0.15), with sizes that
    shrink from 0.5 to 0.05 during the search, and that reach beyond the edge: ``size=0.5,
    last=0.05, over=<generations>, beyond=true, fill=0``.

    Attributes:
        size: mean side of a crop, as a fraction of the side.
        last: mean side after `over` generations; `size` if None.
        over: number of generations in which the mean goes from `size` to `last`, in equal steps; 0
            for a constant mean. A schedule requires new draws in each generation.
        size_deviation: standard deviation of the size.
        middle_deviation: standard deviation of the middle, as a fraction of the side.
        fill: value of points from outside, which occur with `beyond` and with other affine
            transformations.
        beyond: whether a crop may reach beyond the edge of the stimulus.

    Raises:
        InvalidSpec: for a number out of range.
    """

    kind: ClassVar[str] = "crop"

    size: float = 0.5
    last: float | None = None
    over: int = 0
    size_deviation: float = 0.05
    middle_deviation: float = 0.15
    fill: float = 0.5
    beyond: bool = False

    def __post_init__(self) -> None:
        for name in ("size", "last"):
            value = getattr(self, name)
            fits = value is None or SMALLEST <= value <= 1
            check(fits, name, f"{SMALLEST:g} to 1", value)
        check(self.over >= 0, "over", "0 or more generations", self.over)
        check(
            (self.last is None) == (self.over == 0), "over", "`last` and `over`, or none", self.over
        )
        for name in ("size_deviation", "middle_deviation"):
            value = getattr(self, name)
            check(0 <= value <= 1, name, "0 to 1", value)
        check_fill(self.fill)

    @property
    def has_schedule(self) -> bool:
        return self.over > 0

    def matrix(self, draw: Draw) -> torch.Tensor:
        wobble, right, down = draw.normal(3).tolist()
        last = self.size if self.last is None else self.last
        mean = scheduled(self.size, last, self.over, draw.generation)
        size = min(max(mean + self.size_deviation * wobble, SMALLEST), 1.0)
        x = self._middle(right, size, draw.width)
        y = self._middle(down, size, draw.height)
        return affine(move=(-x / size, -y / size), factor=1 / size)

    def _middle(self, drawn: float, size: float, side: int) -> float:
        """The middle of a crop in pixels from the middle of the stimulus."""
        middle = self.middle_deviation * drawn
        return middle * side if self.beyond else _inside(middle, size, side)


def _inside(middle: float, size: float, side: int) -> float:
    """The middle of a crop in pixels from the middle of the stimulus, moved so far that every point
    of the crop lies between two pixels of the stimulus.

    Args:
        middle: the drawn middle, as a fraction of the side.
        size: of the crop, as a fraction of the side.
        side: of the stimulus, in pixels.
    """
    reach = (1 - size) * (side - 1) / 2
    return min(max(middle * side, -reach), reach)
