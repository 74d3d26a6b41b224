"""Latent images on coarse grids: enlarged, and reduced again."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import torch

from blackbox_am.core import linear_algebra
from blackbox_am.optimizers._targetwise import for_each

Way = Literal["enlarge", "reduce", "pull_back"]


@dataclass(frozen=True)
class Grid:
    """A coarse grid under a latent image of shape (channels, height, width).

    Attributes:
        channels: of both.
        coarse: (height, width) of the grid.
        fine: (height, width) of the latent image.
    """

    channels: int
    coarse: tuple[int, int]
    fine: tuple[int, int]

    @property
    def dim(self) -> int:
        """Numbers of an image on the coarse grid."""
        return self.channels * self.coarse[0] * self.coarse[1]

    def enlarge(self, images: torch.Tensor) -> torch.Tensor:
        """(K, P, D) latent images of coarse images (K, P, `dim`): E c, bilinear between the middles
        of the cells, constant beyond the outer ones. No value lies outside the range of those of c.
        """
        return self._mapped("enlarge", images, self.coarse, self.fine)

    def reduce(self, latents: torch.Tensor) -> torch.Tensor:
        """(K, P, `dim`): the coarse images whose enlargements are nearest to latents (K, P, D):
        (E^T E)^-1 E^T x. The inverse of `enlarge` on its results.
        """
        return self._mapped("reduce", latents, self.fine, self.coarse)

    def pull_back(self, gradients: torch.Tensor) -> torch.Tensor:
        """(K, P, `dim`): gradients with respect to the coarse images, E^T g, of gradients (K, P, D)
        with respect to their enlargements.
        """
        return self._mapped("pull_back", gradients, self.fine, self.coarse)

    def _mapped(
        self, way: Way, images: torch.Tensor, old: tuple[int, int], new: tuple[int, int]
    ) -> torch.Tensor:
        if self.coarse == self.fine:
            return images
        rows, columns = (
            _matrix(way, coarse, fine, images.device, images.dtype)
            for coarse, fine in zip(self.coarse, self.fine, strict=True)
        )
        count = images.shape[1] * self.channels

        def one(own: torch.Tensor) -> torch.Tensor:
            wide = linear_algebra.matmul(own.reshape(count * old[0], old[1]), columns)
            turned = wide.reshape(count, old[0], new[1]).transpose(1, 2)
            high = linear_algebra.matmul(turned.reshape(count * new[1], old[0]), rows)
            image = high.reshape(count, new[1], new[0]).transpose(1, 2)
            return image.reshape(images.shape[1], -1)

        return for_each(one, images)


@lru_cache(maxsize=128)
def _matrix(
    way: Way, coarse: int, fine: int, device: torch.device, dtype: torch.dtype
) -> torch.Tensor:
    """The matrix of a map along one axis, for row vectors on its left: (old, new)."""
    enlarging = enlargement(coarse, fine)
    if way == "reduce":
        square = linear_algebra.matmul(enlarging.T.contiguous(), enlarging)
        found = linear_algebra.solve(square, enlarging.T.contiguous()).T
    else:
        found = enlarging.T if way == "enlarge" else enlarging
    return found.contiguous().to(device, dtype)


def enlargement(coarse: int, fine: int) -> torch.Tensor:
    """(fine, coarse) float64: the linear interpolation of `coarse` values at `fine` places."""
    place = (torch.arange(fine, dtype=torch.float64) + 0.5) * coarse / fine - 0.5
    place = place.clamp(0, coarse - 1)
    nodes = torch.arange(coarse, dtype=torch.float64)
    return (1 - (place[:, None] - nodes).abs()).clamp(min=0)


def sizes(extent: tuple[int, int], factor: float, count: int) -> list[tuple[int, int]]:
    """`count` different grids from coarse to fine, the last of which is `extent`, or fewer if the
    coarsest would be smaller than one cell. Each is about `factor` times as high and wide as the
    one before; equal ones are left out.
    """
    found, scale = [extent], 1.0
    while len(found) < count and found[-1] != (1, 1):
        scale *= factor
        height, width = (max(1, round(n / scale)) for n in extent)
        if (height, width) != found[-1]:
            found.append((height, width))
    return found[::-1]
