"""Random numbers as a function of position.

The numbers of a `Stream` follow from (seed, purpose, generation, target). No random state is ever
saved, and no number depends on the clock, on threads, or on the other targets of the batch. A study
identifies a target by a key of its objective, so a target draws the numbers that it would draw
alone, at every position of the list.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterable, Sequence

import torch

from blackbox_am.core import blocks


def position_seed(seed: int, purpose: str, generation: int, target: int | str) -> int:
    """63 bits that depend on every part of the position."""
    text = f"{seed}|{purpose}|{generation}|{target}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little") >> 1


class Stream:
    """Random numbers for the K targets of one generation.

    Every draw has a leading K axis that is filled from K independent generators, so the numbers of
    a target do not depend on the other targets. Two streams of equal position give equal numbers.
    Successive draws from one stream differ.

    Attributes:
        targets: identifiers of the targets: keys of their objectives in a study, or numbers.
        seeds: 63 bits for each target that follow from its position, for the random generators of
            other libraries.
        generators: torch's, one for each target.
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
        self.generators = [torch.Generator(self.device).manual_seed(s) for s in self.seeds]

    def at(self, positions: Iterable[int]) -> Stream:
        """The same stream for the targets at `positions` alone. What it draws, this stream does not
        draw again.
        """
        part = copy.copy(self)
        chosen = list(positions)
        part.targets = tuple(self.targets[k] for k in chosen)
        part.seeds = tuple(self.seeds[k] for k in chosen)
        part.generators = [self.generators[k] for k in chosen]
        return part

    def normal(self, *shape: int) -> torch.Tensor:
        """(K, *shape) standard normal numbers."""
        out = blocks.empty(len(self.targets), *shape, device=self.device, dtype=self.dtype)
        self.fill_normal(out, range(len(self.targets)))
        return out

    def fill_normal(self, out: torch.Tensor, positions: Iterable[int]) -> None:
        """Fills the rows `positions` of `out` (K, ...) with standard normal numbers."""
        for k in positions:
            out[k].normal_(generator=self.generators[k])

    def uniform(self, *shape: int) -> torch.Tensor:
        """(K, *shape) numbers uniform in [0, 1)."""
        out = blocks.empty(len(self.targets), *shape, device=self.device, dtype=self.dtype)
        for k, generator in enumerate(self.generators):
            out[k].uniform_(generator=generator)
        return out

    def integers(self, high: int, *shape: int) -> torch.Tensor:
        """(K, *shape) int64 numbers uniform in 0..high-1."""
        out = torch.empty(len(self.targets), *shape, device=self.device, dtype=torch.int64)
        for k, generator in enumerate(self.generators):
            out[k].random_(0, high, generator=generator)
        return out
