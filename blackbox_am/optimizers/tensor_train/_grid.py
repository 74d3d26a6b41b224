"""Latents as multi-indices, for methods that search the tensor of all combinations.

A continuous coordinate becomes a grid of 2^bits points and each bit of the point's number a
mode of size 2, the lowest first: the quantised tensor train of I. Oseledets (2010) and
B. Khoromskij (2011). A position of codes becomes one mode, or its bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Literal, TypeVar

import torch

from blackbox_am.core import blocks
from blackbox_am.core.optimizer import CONTINUOUS, Optimizer
from blackbox_am.core.space import Space
from blackbox_am.errors import Unsupported
from blackbox_am.optimizers._frame import frame_of
from blackbox_am.optimizers._parameters import positive

State = TypeVar("State")

Points = Literal["prior", "even"]
"""Where the grid of an unbounded coordinate lies: at quantiles of the prior, or evenly."""

MAX_BITS = 16


@dataclass(frozen=True)
class Grid:
    """The grid over one space.

    Attributes:
        space: the space.
        bits: modes a coordinate.
        size: n, the number of values of a mode: 2, or the number of categories.
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
        """(K, P, D) latents of int32 numbers of points or codes (K, D, P)."""
        if self.space.dtype is not None:
            return _transposed(numbers)
        numbers = numbers.transpose(-1, -2)
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


def _transposed(numbers: torch.Tensor) -> torch.Tensor:
    """(K, P, D) int64 of int32 numbers (K, D, P)."""
    if numbers.device.type != "cpu":
        return numbers.transpose(-1, -2).contiguous().to(torch.int64)
    # The import of numba takes a second.
    from blackbox_am.optimizers.tensor_train import _kernels as kernels

    targets, dim, population = numbers.shape
    out = blocks.empty(targets, population, dim, dtype=torch.int64)
    kernels.transpose(numbers.contiguous().numpy(), out.numpy())
    return out


@dataclass(frozen=True)
class SearchesGrid(Optimizer[State]):
    """An optimizer of multi-indices.

    Attributes:
        bits: a continuous coordinate is a grid of 2^bits points, each bit a mode of 2 values.
        grid: `prior` puts the points of an unbounded coordinate at quantiles of the prior, so
            that a search starts as draws from the prior; `even` at equal distances. The points of
            a box are even, its bounds included.
        limit: half the width of an even grid, in deviations of the prior.
        split_codes: whether a code is represented by its bits, each a mode of 2 values, instead of
            one mode with a value for each category. Bits need a number of categories that is a
            power of 2. None splits codes if the number of categories is a power of 2.
    """

    spaces: ClassVar[frozenset[str]] = CONTINUOUS | {"categorical"}

    bits: int = 6
    grid: Points = "prior"
    limit: float = 3.0
    split_codes: bool | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= MAX_BITS:
            raise ValueError(f"bits must be in 1..{MAX_BITS}, got {self.bits}")
        positive(limit=self.limit)

    def check(self, space: Space) -> None:
        super().check(space)
        categories = space.spec.categories
        if self.split_codes and space.kind == "categorical" and not _splits(categories):
            raise Unsupported(
                f"{self.name} splits codes into bits only where the number of categories is a "
                f"power of 2, and the space has {categories}; leave split_codes out",
                field="optimizer.parameters.split_codes",
            )

    def grid_of(self, space: Space, like: torch.Tensor) -> Grid:
        """The grid over `space`, on the device and in the dtype of `like`, a tensor of the
        state.
        """
        if space.kind == "categorical":
            categories = space.spec.categories
            split = _splits(categories) if self.split_codes is None else self.split_codes
            empty = torch.empty(2, 0, device=like.device, dtype=like.dtype)
            if split:
                return Grid(space, (categories - 1).bit_length(), 2, empty)
            return Grid(space, 1, categories, empty)
        levels = _levels(self.bits, self.grid, self.limit, like.device, like.dtype)
        return Grid(space, self.bits, 2, levels)


def _splits(categories: int) -> bool:
    """Whether the number of codes is a power of 2, so that codes can be split into bits."""
    return categories & (categories - 1) == 0


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
