"""A common frame for continuous spaces, in which the prior has mean 0 and deviation 1.

Strategies search in this frame, so that one initial step size has the same meaning in every
space: the prior's standard deviation is 1 for normal coordinates, R / sqrt(D) for those
of a sphere of radius R, and width / sqrt(12) for those of a box.
"""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass
from functools import lru_cache, reduce

import torch

from blackbox_am.core.space import Space
from blackbox_am.core.spec import SpaceSpec


@dataclass(frozen=True)
class Frame:
    """An affine map, coordinate by coordinate.

    The space moves points beyond its bounds to the bounds, and strategies learn from the moved
    points. Mirrored points do worse near the bounds (measured with `cma`, `sep_cma` and `snes` on
    quadratic hills in 32 and 128 dimensions: after 1,500 rows the distance to the score of a top in
    a corner is 1.2 to 250 times as large; for tops in the interior there is no difference).

    Attributes:
        centre: (D,) the prior's mean.
        scale: (D,) the prior's standard deviation.
        low, high: (D,) bounds inside the frame; infinite for unbounded coordinates.
        bounded: whether any coordinate has bounds.
    """

    centre: torch.Tensor
    scale: torch.Tensor
    low: torch.Tensor
    high: torch.Tensor
    bounded: bool

    def inward(self, latents: torch.Tensor) -> torch.Tensor:
        """(..., D) latents in frame coordinates."""
        return (latents - self.centre) / self.scale

    def outward(self, points: torch.Tensor) -> torch.Tensor:
        """(..., D) points of the frame as latents."""
        return self.centre + self.scale * points

    def clamp(self, points: torch.Tensor) -> torch.Tensor:
        """(..., D) points of the frame moved between the bounds."""
        if not self.bounded:
            return points
        return torch.minimum(torch.maximum(points, self.low), self.high)

    def settle(self, points: torch.Tensor, pull: float) -> torch.Tensor:
        """(..., D) points of the frame moved towards the prior's mean by the share `pull` of their
        distance, then moved between the bounds.

        The decoupled weight decay of I. Loshchilov and F. Hutter (ICLR 2019), with a share a
        generation that does not depend on the step size. A share of 0 changes no bit.

        Measured on units behind a trained and a random decoder, 128 and 4,096 dimensions: 0.003
        makes the latents 15 to 25 % shorter after 3,000 queries and 40 % after 10,000, for -2 to
        +7 % of the score; 0.03 costs 2 to 21 % of it.
        """
        return self.clamp((1 - pull) * points if pull else points)


def frame_of(space: Space, like: torch.Tensor) -> Frame:
    """The frame of `space`, on the device and in the dtype of `like`."""
    return _frame(space.spec, like.device, like.dtype)


@lru_cache(maxsize=64)
def _frame(spec: SpaceSpec, device: torch.device, dtype: torch.dtype) -> Frame:
    columns = torch.tensor(_columns(spec), dtype=torch.float64)
    centre, scale, low, high = columns.to(device, dtype).unbind()
    return Frame(centre, scale, low, high, bounded=not bool(columns[2:].isinf().all()))


def _columns(spec: SpaceSpec) -> list[list[float]]:
    """Centre, scale, low and high, each D numbers. Codes are the same inside the frame."""
    n = spec.dimension
    if spec.kind == "product":
        parts = [_columns(part) for part in spec.parts]
        return [reduce(operator.iadd, (part[i] for part in parts), []) for i in range(4)]
    unbounded = [[-math.inf] * n, [math.inf] * n]
    if spec.kind == "normal":
        return [[0.0] * n, [1.0] * n, *unbounded]
    if spec.kind == "sphere":
        radius = math.sqrt(n) if spec.radius is None else spec.radius
        return [[0.0] * n, [radius / math.sqrt(n)] * n, *unbounded]
    if spec.kind == "categorical":  # codes are left as they are
        return [[0.0] * n, [1.0] * n, [0.0] * n, [spec.categories - 1.0] * n]
    low = spec.low * n if len(spec.low) == 1 else spec.low
    high = spec.high * n if len(spec.high) == 1 else spec.high
    pairs = list(zip(low, high, strict=True))
    half = math.sqrt(3.0)  # half a width, in deviations of the uniform law
    return [
        [(a + b) / 2 for a, b in pairs],
        [(b - a) / math.sqrt(12.0) for a, b in pairs],
        [-half] * n,
        [half] * n,
    ]
