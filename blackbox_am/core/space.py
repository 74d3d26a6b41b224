"""Latent spaces in torch: sample the prior, project back into the space.

A coordinate is a number or a code. Codes are whole numbers from 0 to categories - 1, without an
order. If every coordinate is a code, latents are int64. In a mixed space, a product of numbers and
codes, latents are floating-point numbers, and their code coordinates are whole numbers: `sample`
draws whole numbers, and `project` rounds to the nearest code.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import torch

from blackbox_am.core.rng import Stream
from blackbox_am.core.spec import SpaceSpec


@dataclass(frozen=True)
class Space(ABC):
    """A latent space of dimension D.

    Attributes:
        spec: the description of the space as plain data.
    """

    spec: SpaceSpec

    @property
    def dim(self) -> int:
        """D."""
        return self.spec.dimension

    @property
    def kind(self) -> str:
        """`normal`, `sphere`, `box`, `categorical` or `product`."""
        return self.spec.kind

    @property
    def dtype(self) -> torch.dtype | None:
        """int64 if every coordinate is a code; None if the study chooses a floating-point dtype."""
        return None

    @cached_property
    def categories(self) -> tuple[int, ...]:
        """D numbers: the number of codes of each coordinate, 0 for a coordinate that is a
        number.
        """
        return (self.spec.categories,) * self.dim

    @property
    def mixed(self) -> bool:
        """Whether this is a product with codes among its coordinates."""
        return self.kind == "product" and any(self.categories)

    def codes(self, device: torch.device) -> torch.Tensor:
        """(D,) bool on `device`: which coordinates are codes."""
        key = ("codes", device)
        if key not in self._columns:
            self._columns[key] = torch.tensor(self.categories, device=device) > 0
        return self._columns[key]

    @cached_property
    def _columns(self) -> dict[Any, torch.Tensor]:
        """Cached tensors that follow from the specification, by name and device."""
        return {}

    @abstractmethod
    def sample(self, stream: Stream, n: int) -> torch.Tensor:
        """(K, n, D) latents from the prior."""

    @abstractmethod
    def project(self, latents: torch.Tensor) -> torch.Tensor:
        """(..., D) latents moved into the space. Latents inside the space are unchanged."""


class Normal(Space):
    """Standard normal prior, unbounded."""

    def sample(self, stream: Stream, n: int) -> torch.Tensor:
        return stream.normal(n, self.dim)

    def project(self, latents: torch.Tensor) -> torch.Tensor:
        return latents


class Sphere(Space):
    """Uniform on the sphere of radius R, by default the square root of D."""

    @property
    def radius(self) -> float:
        """R."""
        return math.sqrt(self.dim) if self.spec.radius is None else self.spec.radius

    def sample(self, stream: Stream, n: int) -> torch.Tensor:
        return self.project(stream.normal(n, self.dim))

    def project(self, latents: torch.Tensor) -> torch.Tensor:
        norms = latents.norm(dim=-1, keepdim=True)
        scale: torch.Tensor = self.radius / norms.clamp_min(torch.finfo(latents.dtype).tiny)
        return latents * scale


class Box(Space):
    """Uniform between per-coordinate bounds."""

    def bounds(self, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Low and high, each (D,) or (1,), on the device and in the dtype of `like`."""
        return self._bound("low", like), self._bound("high", like)

    def _bound(self, side: Literal["low", "high"], like: torch.Tensor) -> torch.Tensor:
        key = (side, like.device, like.dtype)
        if key not in self._columns:
            self._columns[key] = like.new_tensor(getattr(self.spec, side))
        return self._columns[key]

    def sample(self, stream: Stream, n: int) -> torch.Tensor:
        unit = stream.uniform(n, self.dim)
        low, high = self.bounds(unit)
        return low + unit * (high - low)

    def project(self, latents: torch.Tensor) -> torch.Tensor:
        low, high = self.bounds(latents)
        return latents.clamp(low, high)


class Categorical(Space):
    """D positions, each one of `categories` codes, uniform. Latents are int64."""

    @property
    def dtype(self) -> torch.dtype:
        return torch.int64

    def sample(self, stream: Stream, n: int) -> torch.Tensor:
        return stream.integers(self.spec.categories, n, self.dim)

    def project(self, latents: torch.Tensor) -> torch.Tensor:
        if latents.is_floating_point():  # in a mixed space; adding 0 turns -0 into 0
            return latents.round().clamp(0, self.spec.categories - 1) + 0.0
        return latents.clamp(0, self.spec.categories - 1)


class Product(Space):
    """Parts one after the other."""

    @property
    def dtype(self) -> torch.dtype | None:
        return torch.int64 if all(self.categories) else None

    @cached_property
    def categories(self) -> tuple[int, ...]:
        return tuple(number for part in self.parts for number in part.categories)

    @cached_property
    def parts(self) -> tuple[Space, ...]:
        """The parts, in order."""
        return tuple(build_space(part) for part in self.spec.parts)

    def split(self, latents: torch.Tensor) -> list[torch.Tensor]:
        """(..., D) latents as one tensor a part."""
        return list(torch.split(latents, [part.dimension for part in self.spec.parts], dim=-1))

    def sample(self, stream: Stream, n: int) -> torch.Tensor:
        return torch.cat([part.sample(stream, n) for part in self.parts], dim=-1)

    def project(self, latents: torch.Tensor) -> torch.Tensor:
        pieces = zip(self.parts, self.split(latents), strict=True)
        return torch.cat([part.project(piece) for part, piece in pieces], dim=-1)


_KINDS: dict[str, type[Space]] = {
    "normal": Normal,
    "sphere": Sphere,
    "box": Box,
    "categorical": Categorical,
    "product": Product,
}


def build_space(spec: SpaceSpec) -> Space:
    """The space that `spec` describes."""
    return _KINDS[spec.kind](spec)
