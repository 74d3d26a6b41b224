"""Strategies whose state holds matrices of D x D for each target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, TypeVar

import torch

from blackbox_am.core.rng import Stream
from blackbox_am.core.space import Space
from blackbox_am.optimizers._memory import check_matrices
from blackbox_am.optimizers._parameters import memory
from blackbox_am.optimizers.evolution._start import StartsAtMean

State = TypeVar("State")


@dataclass(frozen=True)
class KeepsMatrices(StartsAtMean[State]):
    """A strategy that refuses to start where its matrices do not fit into memory.

    Attributes:
        max_bytes: refuses to start where its matrices would need more.
    """

    matrices: ClassVar[int] = 4
    """Matrices of D x D for each target: two in the state, and two more during a tell."""

    max_bytes: int = 8 * 2**30

    def __post_init__(self) -> None:
        super().__post_init__()
        memory(self.max_bytes)

    def memory_bytes(self, space: Space, targets: int) -> int:
        matrices = 4 * self.matrices * targets * space.dim**2
        return super().memory_bytes(space, targets) + matrices

    def check(self, space: Space) -> None:
        super().check(space)
        self._check_memory(space, targets=1, itemsize=4)

    def init(self, space: Space, targets: int, stream: Stream) -> State:
        self._check_memory(space, targets, stream.dtype.itemsize)
        return super().init(space, targets, stream)

    def _check_memory(self, space: Space, targets: int, itemsize: int) -> None:
        check_matrices(
            self.name,
            matrices=self.matrices,
            targets=targets,
            dim=space.dim,
            itemsize=itemsize,
            max_bytes=self.max_bytes,
        )


def identities(mean: torch.Tensor) -> torch.Tensor:
    """(K, D, D) identity matrices, on the device and in the dtype of `mean` (K, D)."""
    dim = mean.shape[1]
    return torch.eye(dim, device=mean.device, dtype=mean.dtype).repeat(len(mean), 1, 1)
