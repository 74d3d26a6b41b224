"""A search that masks rows, for tests of what handles its proposals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from blackbox_am.core.optimizer import EVERY, Optimizer, Proposal
from blackbox_am.core.rng import Stream
from blackbox_am.core.space import Space


@dataclass
class MaskedSearchState:
    """What changes.

    Attributes:
        told: (K,) int64, rows of which a score has come back.
        generation: (K,) int64, generations told.
    """

    told: torch.Tensor
    generation: torch.Tensor


@dataclass(frozen=True)
class MaskedSearch(Optimizer[MaskedSearchState]):
    """Samples of the prior, of which only some are wanted: all rows in the first generation of a
    target, one row fewer in each generation after it, down to one row, and then all again.

    The state counts the scores that came back, so a test can compare the count with the rows that
    an oracle served.

    Attributes:
        population: P, the rows of a generation.
    """

    name: ClassVar[str] = "masked_search"
    spaces: ClassVar[frozenset[str]] = EVERY
    state_type: ClassVar[type[MaskedSearchState]] = MaskedSearchState

    population: int = 5

    def __post_init__(self) -> None:
        if self.population < 1:
            raise ValueError(f"population must be at least 1, got {self.population}")

    def population_size(self, space: Space) -> int:
        del space
        return self.population

    def init(self, space: Space, targets: int, stream: Stream) -> MaskedSearchState:
        del space
        zeros = torch.zeros(targets, dtype=torch.int64, device=stream.device)
        return MaskedSearchState(told=zeros, generation=zeros.clone())

    def ask(self, space: Space, state: MaskedSearchState, stream: Stream) -> Proposal:
        latents = space.sample(stream, self.population)
        wanted = self.population - state.generation % self.population
        rows = torch.arange(self.population, device=latents.device)
        return Proposal(latents, rows < wanted.unsqueeze(-1))

    def tell(
        self,
        space: Space,
        state: MaskedSearchState,
        latents: torch.Tensor,
        scores: torch.Tensor,
        gradients: torch.Tensor | None = None,
    ) -> MaskedSearchState:
        del space, latents, gradients
        return MaskedSearchState(
            told=state.told + (~scores.isnan()).sum(-1), generation=state.generation + 1
        )
