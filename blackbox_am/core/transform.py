"""The contract of a transformation: a random change of a stimulus before a model sees it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch.nn import functional

from blackbox_am.core.constants import Constants
from blackbox_am.core.parameters import check
from blackbox_am.errors import InvalidSpec

Drawn = Callable[[torch.Tensor], torch.Tensor]
"""A transformation whose random numbers are drawn: (N, C, H, W) -> (N, C, H', W'), the same change
for each of the N rows.
"""


@dataclass(frozen=True)
class Draw:
    """The facts from which a transformation draws.

    Attributes:
        channels, height, width: of the canvas. A series (channels, length) is a canvas of height 1.
        numbers: random numbers on the CPU, which follow from the position of the draw.
        generation: of the study, for transformations with a schedule; -1 outside of generations.
    """

    channels: int
    height: int
    width: int
    numbers: torch.Generator
    generation: int = 0

    def uniform(self, *shape: int) -> torch.Tensor:
        """Numbers uniform in [0, 1), float64."""
        return torch.rand(*shape, generator=self.numbers, dtype=torch.float64)

    def signed(self, *shape: int) -> torch.Tensor:
        """Numbers uniform in [-1, 1), float64."""
        return 2 * self.uniform(*shape) - 1

    def normal(self, *shape: int) -> torch.Tensor:
        """Standard normal numbers, float64."""
        return torch.randn(*shape, generator=self.numbers, dtype=torch.float64)


class Transform(ABC):
    """A family of random changes of images (channels, height, width) or series (channels, length).

    A subclass is a frozen dataclass: its fields are its parameters and its schema. It keeps no
    state, and draws random numbers only from the given `Draw`, so that a study can be repeated and
    resumed. Gradients pass through the change, on any device and in float32 and float64.
    """

    kind: ClassVar[str]
    """The name of the plug-in, which is the name of its file."""
    images_only: ClassVar[bool] = False
    """Whether series cannot be changed in this way."""

    @property
    def has_schedule(self) -> bool:
        """Whether draws depend on the generation in another way than by their random numbers."""
        return False

    @abstractmethod
    def draw(self, draw: Draw) -> Drawn:
        """One change of the family, drawn for a canvas of the size in `draw`."""

    def size_after(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) of a canvas of this size after the change."""
        return height, width

    def check(self, stimulus_shape: tuple[int, ...]) -> None:
        """Check that stimuli of this shape can be changed.

        Raises:
            InvalidSpec: if they cannot; the message names the possible shapes.
        """
        series = len(stimulus_shape) == 2 and not self.images_only
        if len(stimulus_shape) != 3 and not series:
            possible = "images (channels, height, width)"
            if not self.images_only:
                possible += " or series (channels, length)"
            raise InvalidSpec(
                f"{self.kind}: transformations need {possible}, got stimuli of shape "
                f"{tuple(stimulus_shape)}; leave this transformation out",
                field="transforms",
            )


class Affine(Transform):
    """A transformation that moves the points of a canvas by an affine map.

    Consecutive affine transformations of a chain are joined into one map and interpolated once.
    """

    fill: float
    """The value of points from outside the canvas."""

    @abstractmethod
    def matrix(self, draw: Draw) -> torch.Tensor:
        """(3, 3) float64: takes a point (x, y, 1) to its new place. x to the right and y down, in
        pixels from the middle of the canvas.
        """

    def draw(self, draw: Draw) -> Drawn:
        return resampling(self.matrix(draw), draw.height, draw.width, self.fill)


def affine(
    *, move: tuple[float, float] = (0.0, 0.0), factor: float = 1.0, angle: float = 0.0
) -> torch.Tensor:
    """(3, 3) float64: takes a point p to factor R p + move.

    Args:
        move: (right, down) in pixels.
        factor: above 1 enlarges.
        angle: of the rotation R in radians, clockwise as the image is seen.
    """
    turn = torch.tensor(angle, dtype=torch.float64)
    cosine, sine = float(turn.cos()) * factor, float(turn.sin()) * factor
    rows = [[cosine, -sine, move[0]], [sine, cosine, move[1]], [0.0, 0.0, 1.0]]
    return torch.tensor(rows, dtype=torch.float64)


def resampling(matrix: torch.Tensor, height: int, width: int, fill: float) -> Drawn:
    """The change that moves the points of a canvas by `matrix` (3, 3), interpolated linearly.

    On CUDA devices the last bits of gradients may differ between runs, because the backward pass of
    `grid_sample` adds in no fixed order.
    """
    constants = Constants(lambda: (source_grid(matrix, height, width),))

    def change(canvas: torch.Tensor) -> torch.Tensor:
        (grid,) = constants.on(canvas.device)
        everywhere = grid.to(canvas).expand(len(canvas), -1, -1, -1)
        # Points outside are sampled as 0.
        moved = functional.grid_sample(canvas - fill, everywhere, align_corners=False)
        return moved + fill

    return change


def source_grid(matrix: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """(1, height, width, 2) float64: the place (x, y) from which each pixel of a canvas comes that
    is moved by `matrix` (3, 3), in [-1, 1] from edge to edge, as `grid_sample` takes it with
    `align_corners=False`.
    """
    inverse = torch.linalg.inv(matrix)
    rows = torch.arange(height, dtype=torch.float64) + 0.5 - height / 2
    columns = torch.arange(width, dtype=torch.float64) + 0.5 - width / 2
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    from_x = inverse[0, 0] * x + inverse[0, 1] * y + inverse[0, 2]
    from_y = inverse[1, 0] * x + inverse[1, 1] * y + inverse[1, 2]
    return torch.stack([from_x * 2 / width, from_y * 2 / height], dim=-1)[None]


def scheduled(first: float, last: float, over: int, generation: int) -> float:
    """The value in `generation` of a parameter that goes from `first` to `last` within `over`
    generations, in equal steps, and then stays; always `first` if `over` is 0.
    """
    share = min(max(generation, 0) / over, 1.0) if over else 0.0
    return first + (last - first) * share


def check_fill(fill: float) -> None:
    """Refuse a fill value outside [0, 1].

    Raises:
        InvalidSpec: for another value.
    """
    check(0 <= fill <= 1, "fill", "0 to 1", fill)
