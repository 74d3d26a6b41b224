"""The mean answer over small shifts, scalings and rotations of each stimulus."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch.nn import functional

from blackbox_am.core.constants import Constants
from blackbox_am.core.oracle import check_stimuli
from blackbox_am.core.ranges import check
from blackbox_am.core.rng import position_seed
from blackbox_am.core.types import OracleInfo
from blackbox_am.core.units import Unit
from blackbox_am.core.wrapper import Wrapper


@dataclass(frozen=True)
class Robust(Wrapper):
    """Presents each image under a fixed set of small transformations, and answers with the mean.

    An image that excites a unit only at its exact position scores less then (transformation
    robustness: Olah, Mordvintsev, Schubert, "Feature Visualization", 2017). Lucid draws a new
    transformation in each step and follows the gradient of one. A search by scores would then
    keep the candidate with the luckiest draw, so here the transformations are fixed by `seed` and
    the same for every stimulus: scores can be compared, and a study can be repeated. The best
    stimulus of a study is not transformed. A stimulus costs `transforms` rows. A search can
    overfit to few transformations: check its result on more of them, drawn from another seed.

    An image is scaled, rotated and shifted about its middle, in this order, and interpolated
    linearly. Gradients pass through. Transformations whose answer failed (nan) are left out of
    the mean.

    Attributes:
        transforms: number of transformations.
        jitter: largest shift in each direction, as a fraction of the image's side.
        scale: factors are 1 - scale to 1 + scale.
        rotate: largest angle to either side, in degrees.
        fill: value of the pixels from outside the image.
        seed: fixes the transformations.

    Raises:
        InvalidSpec: for a number out of range; on the first use, where the model takes no
            images (channels, height, width).
    """

    kind: ClassVar[str] = "robust"
    changes_answers: ClassVar[bool] = True

    transforms: int = 8
    jitter: float = 0.0625
    scale: float = 0.1
    rotate: float = 10.0
    fill: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self.transforms >= 1, "transforms", "1 or more", self.transforms)
        check(0 <= self.jitter < 1, "jitter", "0 to below 1", self.jitter)
        check(0 <= self.scale < 1, "scale", "0 to below 1", self.scale)
        check(0 <= self.rotate <= 180, "rotate", "0 to 180 degrees", self.rotate)
        check(0 <= self.fill <= 1, "fill", "0 to 1", self.fill)

    def around(self, info: OracleInfo) -> OracleInfo:
        shape = info.stimulus_shape
        check(len(shape) == 3, "inner", "a model of images (channels, height, width)", shape)
        return info

    def observe(self, stimuli: torch.Tensor, units: Sequence[Unit]) -> torch.Tensor:
        check_stimuli(self.describe(), stimuli)
        images = stimuli.to(torch.float32) - self.fill  # pixels outside are sampled as 0
        (grids,) = self._grids.on(stimuli.device)
        answers = [self.ask(self._moved(images, grid), units) for grid in grids]
        return torch.stack(answers).nanmean(dim=0)

    def _moved(self, images: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
        everywhere = grid.expand(len(images), -1, -1, -1)
        moved = functional.grid_sample(images, everywhere, align_corners=False)
        return (moved + self.fill).clamp(0, 1)

    @cached_property
    def _grids(self) -> Constants:
        return Constants(lambda: (self._sampled(*self.describe().stimulus_shape[1:]),))

    def _sampled(self, height: int, width: int) -> torch.Tensor:
        """(transforms, height, width, 2): the source position of each pixel, as `grid_sample`
        requires.
        """
        seeds = [position_seed(self.seed, "robust", 0, i) for i in range(self.transforms)]
        draws = [torch.rand(4, generator=torch.Generator().manual_seed(s)) for s in seeds]
        signed = 2 * torch.stack(draws).double() - 1
        moves = signed[:, :2] * self.jitter * torch.tensor([width, height])
        factors = 1 + signed[:, 2] * self.scale
        angles = signed[:, 3] * math.radians(self.rotate)
        grids = [
            inverse_affine(height, width, (float(x), float(y)), float(factor), float(angle))
            for (x, y), factor, angle in zip(moves, factors, angles, strict=True)
        ]
        return torch.stack(grids)


def inverse_affine(
    height: int, width: int, move: tuple[float, float], factor: float, angle: float
) -> torch.Tensor:
    """(height, width, 2) float32: where the pixels of a transformed image come from.

    The transformation takes a point p, from the middle of the image, to factor R p + move, R
    the rotation by `angle`; so the value of a pixel q comes from the position R^T (q - move) /
    factor.

    Args:
        height, width: of the image.
        move: (right, down) in pixels.
        factor: above 1 enlarges.
        angle: in radians, clockwise as the image is seen.

    Returns:
        (x, y) in [-1, 1] from edge to edge, as `grid_sample` takes them with
        `align_corners=False`.
    """
    rows = torch.arange(height, dtype=torch.float64) + 0.5 - height / 2 - move[1]
    columns = torch.arange(width, dtype=torch.float64) + 0.5 - width / 2 - move[0]
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    cosine, sine = math.cos(angle) / factor, math.sin(angle) / factor
    from_x = (cosine * x + sine * y) * 2 / width
    from_y = (cosine * y - sine * x) * 2 / height
    return torch.stack([from_x, from_y], dim=-1).to(torch.float32)
