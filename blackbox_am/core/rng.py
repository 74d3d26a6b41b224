"""Randomness as a function of position.

A `Stream` depends only on (seed, purpose, generation, target). Random numbers are never saved, and
they do not depend on the clock, on threads, or on the other targets in the batch. A study
identifies a target by a key of its objective, so that the position of the target in the list has
no effect on its random numbers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch


def position_seed(seed: int, purpose: str, generation: int, target: int | str) -> int:
    """63 bits that depend on every part of the position."""
    text = f"{seed}|{purpose}|{generation}|{target}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little") >> 1


class Stream:
    """Random numbers for the K targets of one generation.

    Every draw has a leading K axis, filled from K independent generators, so that a target's
    numbers do not depend on the other targets. Two streams of equal position give equal numbers;
    successive draws from one stream differ.

    Attributes:
        targets: identifiers of the targets: keys of the study's objectives, or numbers.
        seeds: 63 bits for each target, which depend only on the position; for random generators of
            other libraries.
    """

    def __init__(
        self,
        seed: int,
        purpose: str,
        generation: int,
        targets: Sequence[int | str] = (0,),
        *,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.targets = tuple(targets)
        self.device = torch.device(device)
        self.dtype = dtype
        self.seeds = tuple(position_seed(seed, purpose, generation, k) for k in self.targets)
        self._generators = [torch.Generator(self.device).manual_seed(s) for s in self.seeds]

    def normal(self, *shape: int) -> torch.Tensor:
        """Standard normal numbers (K, *shape)."""
        out = torch.empty(len(self.targets), *shape, device=self.device, dtype=self.dtype)
        for k, generator in enumerate(self._generators):
            out[k].normal_(generator=generator)
        return out

    def uniform(self, *shape: int) -> torch.Tensor:
        """Uniform numbers (K, *shape) in [0, 1)."""
        out = torch.empty(len(self.targets), *shape, device=self.device, dtype=self.dtype)
        for k, generator in enumerate(self._generators):
            out[k].uniform_(generator=generator)
        return out

    def integers(self, high: int, *shape: int) -> torch.Tensor:
        """Integers (K, *shape) int64, uniform in 0..high-1."""
        out = torch.empty(len(self.targets), *shape, device=self.device, dtype=torch.int64)
        for k, generator in enumerate(self._generators):
            out[k].random_(0, high, generator=generator)
        return out
