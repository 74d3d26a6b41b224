"""Random noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch

from blackbox_am.core.constants import Constants
from blackbox_am.core.parameters import check
from blackbox_am.core.transform import Draw, Drawn, Transform, scheduled


@dataclass(frozen=True)
class Noise(Transform):
    """Adds random values to a stimulus: normal with `deviation`, plus uniform within `width`.

    The same values are added to every stimulus of a draw. Sources: T. Fel et al., "Unlocking
    Feature Visualization for Deeper Networks with MAgnitude Constrained Optimization" (2023), whose
    code adds N(0, 0.08) + U(-0.04, 0.04) to each value; A. Ghiasi, H. Kazemi et al., "What do
    Vision Transformers Learn? A Visual Exploration" (2022), whose code adds one value a channel,
    N(0, 0.5), which decreases to 0 over 400 steps: ``deviation=0.5, each="channel", over=400``.

    Attributes:
        deviation: standard deviation of the normal values.
        width: largest uniform value to either side.
        each: whether each `value` of the stimulus or each `channel` has a random value of its own.
        over: number of generations in which the noise decreases to 0, in equal steps; 0 for
            constant noise. A schedule requires new draws in each generation.

    Raises:
        InvalidSpec: for a number out of range.
    """

    kind: ClassVar[str] = "noise"

    deviation: float = 0.05
    width: float = 0.0
    each: Literal["value", "channel"] = "value"
    over: int = 0

    def __post_init__(self) -> None:
        check(0 <= self.deviation <= 10, "deviation", "0 to 10", self.deviation)
        check(0 <= self.width <= 10, "width", "0 to 10", self.width)
        check(self.each in ("value", "channel"), "each", "value or channel", self.each)
        check(self.over >= 0, "over", "0 or more generations", self.over)

    @property
    def has_schedule(self) -> bool:
        return self.over > 0

    def draw(self, draw: Draw) -> Drawn:
        size = (draw.height, draw.width) if self.each == "value" else (1, 1)
        normal = draw.normal(1, draw.channels, *size)
        uniform = draw.signed(1, draw.channels, *size)
        strength = scheduled(1.0, 0.0, self.over, draw.generation)
        values = strength * (self.deviation * normal + self.width * uniform)
        constants = Constants(lambda: (values,))

        def change(canvas: torch.Tensor) -> torch.Tensor:
            (added,) = constants.on(canvas.device)
            return canvas + added.to(canvas)

        return change
