"""Latents as multi-indices: what methods on tensors of all combinations search.

A continuous coordinate becomes a grid of 2^bits points and each bit of the point's number a
mode of size 2, the lowest first: the quantised tensor train of I. Oseledets (2010) and
B. Khoromskij (2011). A position of codes becomes one mode, or its bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import torch

from blackbox_am.core.space import Space
from blackbox_am.errors import Unsupported
from blackbox_am.optimizers._frame import frame_of
from blackbox_am.optimizers._parameters import positive

Points = Literal["prior", "even"]
"""Where the grid of an unbounded coordinate lies: at quantiles of the prior, or evenly."""

MAX_BITS = 16


@dataclass(frozen=True)
class Grid:
    """The grid over one space.

    Attributes:
        space: the space.
        bits: modes a coordinate.
        size: n, what a mode can be: 2, or the number of categories.
        levels: (2, 2^bits) points in the frame, for unbounded and bounded coordinates; empty
            for codes.
    """

    space: Space
    bits: int
    size: int
    levels: torch.Tensor

    @property
    def modes(self) -> int:
        """M, the number of modes."""
        return self.space.dim * self.bits

    def latents(self, numbers: torch.Tensor) -> torch.Tensor:
        """(..., P, D) latents of numbers of points or codes (..., D, P)."""
        numbers = numbers.transpose(-1, -2)
        if self.space.dtype is not None:
            return numbers.contiguous().to(self.space.dtype)
        frame = frame_of(self.space, self.levels)
        n = self.levels.shape[1]
        places = numbers + n * frame.low.isfinite().to(numbers.dtype)
        points = self.levels.flatten().index_select(0, places.flatten())
        return frame.outward(points.view(places.shape))

    def indices(self, latents: torch.Tensor) -> torch.Tensor:
        """(..., M, P) int32: the multi-indices of the points nearest to latents (..., P, D)."""
        if self.space.dtype is not None:
            numbers = latents.to(torch.int32)
        else:
            frame = frame_of(self.space, self.levels)
            points = frame.inward(latents).contiguous()
            edges = (self.levels[:, 1:] + self.levels[:, :-1]) / 2
            free, bounded = (torch.bucketize(points, edge, out_int32=True) for edge in edges)
            numbers = torch.where(frame.low.isfinite(), bounded, free)
        shifts = torch.arange(self.bits, dtype=torch.int32, device=numbers.device)
        split = (numbers.unsqueeze(-1) >> shifts) & 1 if self.bits > 1 else numbers.unsqueeze(-1)
        return split.flatten(-2).transpose(-1, -2).contiguous()


def joined(indices: torch.Tensor, bits: int) -> torch.Tensor:
    """(..., M / bits, P): every `bits` modes of multi-indices (..., M, P) as one number, the
    first the lowest.
    """
    if bits == 1:
        return indices
    shifts = torch.arange(bits, dtype=indices.dtype, device=indices.device).unsqueeze(-1)
    *lead, modes, population = indices.shape
    split = indices.reshape(*lead, modes // bits, bits, population)
    return (split << shifts).sum(-2, dtype=indices.dtype)


def grid_of(
    space: Space,
    like: torch.Tensor,
    *,
    bits: int,
    points: Points = "prior",
    limit: float = 3.0,
    split_codes: bool | None = None,
) -> Grid:
    """The grid over `space`, on the device and in the dtype of `like`.

    Args:
        space: what is searched.
        like: a tensor of the state.
        bits: modes a continuous coordinate.
        points: where the points of unbounded coordinates lie.
        limit: half the width of an even grid, in deviations of the prior.
        split_codes: whether each code is its bits; where None, if it can be.
    """
    if space.kind == "categorical":
        categories = space.spec.categories
        split = _splits(categories) if split_codes is None else split_codes
        empty = torch.empty(2, 0, device=like.device, dtype=like.dtype)
        if split:
            return Grid(space, (categories - 1).bit_length(), 2, empty)
        return Grid(space, 1, categories, empty)
    return Grid(space, bits, 2, _levels(bits, points, limit, like.device, like.dtype))


def check_codes(name: str, space: Space, *, split_codes: bool | None) -> None:
    """Checks that codes that are to be split into bits are all the bits' values.

    Raises:
        Unsupported: where the number of categories is no power of 2.
    """
    categories = space.spec.categories
    if split_codes and space.kind == "categorical" and not _splits(categories):
        raise Unsupported(
            f"{name} splits codes into bits only where the number of categories is a power of 2, "
            f"and the space has {categories}; leave split_codes out",
            field="optimizer.parameters.split_codes",
        )


def _splits(categories: int) -> bool:
    """Whether codes are all the values that some bits take."""
    return categories & (categories - 1) == 0


def check_grid(*, bits: int, limit: float) -> None:
    """Checks the parameters of a grid.

    Raises:
        ValueError: naming the one that is out of range.
    """
    if not 1 <= bits <= MAX_BITS:
        raise ValueError(f"bits must be in 1..{MAX_BITS}, got {bits}")
    positive(limit=limit)


@lru_cache(maxsize=64)
def _levels(
    bits: int, points: Points, limit: float, device: torch.device, dtype: torch.dtype
) -> torch.Tensor:
    """(2, 2^bits) points for unbounded and for bounded coordinates; the bounds are points."""
    n = 2**bits
    bounded = torch.linspace(-(3.0**0.5), 3.0**0.5, n, dtype=torch.float64)
    if points == "even":
        free = torch.linspace(-limit, limit, n, dtype=torch.float64)
    else:
        free = torch.special.ndtri((torch.arange(n, dtype=torch.float64) + 0.5) / n)
    return torch.stack((free, bounded)).to(device, dtype)
