"""Draws from the prior."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from blackbox_am.core.optimizer import EVERY, Optimizer
from blackbox_am.core.rng import Stream
from blackbox_am.core.space import Space


@dataclass
class RandomState:
    """State of K searches.

    Attributes:
        generation: (K,) int64, generations told.
    """

    generation: torch.Tensor


@dataclass(frozen=True)
class Random(Optimizer[RandomState]):
    """Independent samples of the prior: the baseline that every search is compared with.

    Searches every kind of space, codes included, and learns nothing.

    Attributes:
        population: candidates a generation.
    """

    name: ClassVar[str] = "random"
    copies: ClassVar[int] = 6
    state_type: ClassVar[type[RandomState]] = RandomState
    spaces: ClassVar[frozenset[str]] = EVERY

    population: int = 64

    def __post_init__(self) -> None:
        if self.population < 1:
            raise ValueError(f"population must be at least 1, got {self.population}")

    def population_size(self, space: Space) -> int:
        del space
        return self.population

    def init(self, space: Space, targets: int, stream: Stream) -> RandomState:
        del space
        return RandomState(torch.zeros(targets, dtype=torch.int64, device=stream.device))

    def ask(self, space: Space, state: RandomState, stream: Stream) -> torch.Tensor:
        del state
        return space.sample(stream, self.population)

    def tell(
        self,
        space: Space,
        state: RandomState,
        latents: torch.Tensor,
        scores: torch.Tensor,
        gradients: torch.Tensor | None = None,
    ) -> RandomState:
        del space, latents, scores, gradients
        return RandomState(state.generation + 1)
