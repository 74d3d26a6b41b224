"""A margin around the stimulus."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch.nn import functional

from blackbox_am.core.parameters import check
from blackbox_am.core.transform import Draw, Drawn, Transform, check_fill

_MODES = ("constant", "reflect", "replicate")


@dataclass(frozen=True)
class Pad(Transform):
    """Puts a margin around an image, or before and after a series, so that later transformations of
    the chain move the margin into view.

    Nothing is random here. The canvas is larger until the end of the chain, which cuts the canvas
    back to the size of the stimulus; alone, `pad` changes nothing. Source: the padding of Olah,
    Mordvintsev and Schubert, "Feature Visualization" (Distill, 2017), by 12 grey pixels.

    Attributes:
        amount: width of the margin on each side, as a fraction of the side.
        mode: the values of the margin: `constant` is `fill`, `reflect` mirrors the stimulus at its
            edge, and `replicate` repeats the values at the edge.
        fill: value of a constant margin.

    Raises:
        InvalidSpec: for a number out of range.
    """

    kind: ClassVar[str] = "pad"

    amount: float = 0.1
    mode: Literal["constant", "reflect", "replicate"] = "constant"
    fill: float = 0.5

    def __post_init__(self) -> None:
        check(0 <= self.amount < 1, "amount", "0 to below 1", self.amount)
        check(self.mode in _MODES, "mode", ", ".join(_MODES), self.mode)
        check_fill(self.fill)

    def size_after(self, height: int, width: int) -> tuple[int, int]:
        down, right = self._margins(height, width)
        return height + 2 * down, width + 2 * right

    def draw(self, draw: Draw) -> Drawn:
        down, right = self._margins(draw.height, draw.width)

        def change(canvas: torch.Tensor) -> torch.Tensor:
            fill = self.fill if self.mode == "constant" else None
            return functional.pad(canvas, (right, right, down, down), self.mode, fill)

        return change

    def _margins(self, height: int, width: int) -> tuple[int, int]:
        """Whole pixels above and below, and to the left and right; a series has none above."""
        down = min(round(self.amount * height), height - 1)
        return down, min(round(self.amount * width), width - 1)
