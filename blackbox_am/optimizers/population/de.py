"""Differential evolution."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch

from blackbox_am.core.optimizer import Optimizer
from blackbox_am.core.rng import Stream
from blackbox_am.core.space import Space
from blackbox_am.optimizers._centers import center_of, elite_weights, near
from blackbox_am.optimizers._frame import frame_of
from blackbox_am.optimizers._incumbents import best_row, comparable, improves, rows_at
from blackbox_am.optimizers._parameters import at_least, positive, share
from blackbox_am.optimizers._targetwise import possible


@dataclass
class DEState:
    """State of K searches, in the frame of the space (see `_frame`).

    Attributes:
        population: (K, P, D) the best point of each row so far; undefined where `known` is False.
        scores: (K, P) float64, the scores of `population`.
        known: (K, P) bool: rows of which a score has come back.
        begun: (K,) bool: whether the search began at given latents, and not with the prior.
        generation: (K,) int64, generations told.
    """

    population: torch.Tensor
    scores: torch.Tensor
    known: torch.Tensor
    begun: torch.Tensor
    generation: torch.Tensor


@dataclass(frozen=True)
class DE(Optimizer[DEState]):
    """Every row moves by the difference of two other rows, and stays where the move did not help.

    Source: R. Storn and K. Price, "Differential Evolution: A Simple and Efficient Heuristic for
    Global Optimization over Continuous Spaces" (Journal of Global Optimization 11, 1997), the
    scheme DE/rand/1/bin; current-to-best/1 after K. Price, R. Storn and J. Lampinen,
    "Differential Evolution" (2005). This implementation makes all trials of a generation from
    the same population, draws rows without a score from the prior again, and lets the space move
    trials back inside.

    Attributes:
        population: candidates a generation, at least 4.
        strategy: `rand1bin` steps from a random row, `current_to_best` from the row itself
            and towards the best.
        weight: F, the length of a step over that of the difference.
        crossover: CR, the chance of a coordinate to take the step.
    """

    name: ClassVar[str] = "de"
    copies: ClassVar[int] = 15
    exchangeable: ClassVar[bool] = False
    state_type: ClassVar[type[DEState]] = DEState

    population: int = 40
    strategy: Literal["rand1bin", "current_to_best"] = "rand1bin"
    weight: float = 0.5
    crossover: float = 0.9

    def __post_init__(self) -> None:
        at_least(4, "a trial is made from three other rows", population=self.population)
        positive(weight=self.weight)
        share(crossover=self.crossover)

    def population_size(self, space: Space) -> int:
        del space
        return self.population

    def init(self, space: Space, targets: int, stream: Stream) -> DEState:
        shape, device = (targets, self.population), stream.device
        return DEState(
            population=torch.zeros(*shape, space.dim, device=device, dtype=stream.dtype),
            scores=torch.zeros(shape, dtype=torch.float64, device=device),
            known=torch.zeros(shape, dtype=torch.bool, device=device),
            begun=torch.zeros(targets, dtype=torch.bool, device=device),
            generation=torch.zeros(targets, dtype=torch.int64, device=device),
        )

    def started_at(self, space: Space, state: DEState, latents: torch.Tensor) -> DEState:
        points = frame_of(space, state.population).inward(latents.to(state.population))
        return replace(
            state,
            population=points.unsqueeze(1).expand_as(state.population).contiguous(),
            begun=torch.ones_like(state.begun),
        )

    def center(self, space: Space, state: DEState) -> torch.Tensor:
        rows = frame_of(space, state.population).outward(state.population)
        return center_of(space, rows, elite_weights(state.scores, state.known))

    def ask(self, space: Space, state: DEState, stream: Stream) -> torch.Tensor:
        size, dim = self.population, space.dim
        rows = state.population
        one, two, three = (rows_at(rows, other) for other in donors(stream, size))
        if self.strategy == "rand1bin":
            mutant = one + self.weight * (two - three)
        else:
            best = best_row(rows, state.scores, state.known)
            mutant = rows + self.weight * (best.unsqueeze(1) - rows) + self.weight * (one - two)
        crosses = stream.uniform(size, dim) < self.crossover
        crosses.scatter_(-1, stream.integers(dim, size, 1), value=True)  # one at the least
        trial = frame_of(space, rows).outward(torch.where(crosses, mutant, rows))
        # Drawn last, so that the draws of one target do not depend on the other targets.
        if possible(~state.known):
            first = near(space, rows, space.sample(stream, size), state.begun)
            trial = torch.where(state.known.unsqueeze(-1), trial, first)
        return trial

    def tell(
        self,
        space: Space,
        state: DEState,
        latents: torch.Tensor,
        scores: torch.Tensor,
        gradients: torch.Tensor | None = None,
    ) -> DEState:
        del gradients
        better = improves(scores, state.scores, state.known)
        moved = better | ~state.known  # a row without a score has no point to keep
        points = frame_of(space, state.population).inward(latents)
        return DEState(
            population=torch.where(moved.unsqueeze(-1), points, state.population),
            scores=torch.where(better, comparable(scores), state.scores),
            known=state.known | better,
            begun=state.begun,
            generation=state.generation + 1,
        )


def donors(stream: Stream, size: int) -> list[torch.Tensor]:
    """Three (K, P) int64: for each row three others, all different."""
    taken = torch.arange(size, device=stream.device).expand(len(stream.targets), size).unsqueeze(-1)
    found = []
    for _ in range(3):
        free = size - taken.shape[-1]
        row = stream.integers(free, size)
        for other in taken.unbind(-1):  # ascending, so that counting skips taken numbers
            row = row + (row >= other).to(torch.int64)
        found.append(row)
        taken = torch.cat([taken, row.unsqueeze(-1)], dim=-1).sort(dim=-1).values
    return found
