"""Evolution of codes: each position of a child is copied from one of the best rows so far."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch

from blackbox_am.core.optimizer import Optimizer
from blackbox_am.core.rng import Stream
from blackbox_am.core.space import Space
from blackbox_am.optimizers._centers import center_of
from blackbox_am.optimizers._incumbents import comparable, rows_at
from blackbox_am.optimizers._parameters import at_least, share
from blackbox_am.optimizers._weights import descending


@dataclass
class UMDAState:
    """State of K searches.

    Attributes:
        elites: (K, N, D) the best rows so far, best first; int64 codes.
        scores: (K, N) float64, the scores of `elites`; undefined where `known` is False.
        known: (K, N) bool: places that are taken.
        generation: (K,) int64, generations told.
    """

    elites: torch.Tensor
    scores: torch.Tensor
    known: torch.Tensor
    generation: torch.Tensor


@dataclass(frozen=True)
class UMDA(Optimizer[UMDAState]):
    """For spaces of codes: each position of a candidate is drawn independently, from the codes of
    the best rows so far at that position, and with a small probability from all codes.

    Source: H. Muehlenbein and G. Paass, "From Recombination of Genes to the Estimation of
    Distributions I. Binary Parameters" (PPSN 1996), the univariate marginal distribution
    algorithm: the distribution of a generation is the product, over positions, of the
    frequencies among selected rows. This implementation differs in three things: positions hold any
    number of codes; rows are selected from all generations, not from the last one; in one position
    at the least a child draws from the prior, so that no code is lost and no query spent on a copy.

    Attributes:
        population: candidates a generation.
        elites: number of best rows over which the frequencies are counted.
        mutation_rate: chance of a position to be drawn from the prior, in addition to the one
            position that is always drawn from the prior.
    """

    name: ClassVar[str] = "umda"
    exchangeable: ClassVar[bool] = False
    spaces: ClassVar[frozenset[str]] = frozenset({"categorical"})
    state_type: ClassVar[type[UMDAState]] = UMDAState

    population: int = 20
    elites: int = 10
    mutation_rate: float = 0.01

    def __post_init__(self) -> None:
        at_least(1, "it counts candidates", population=self.population)
        at_least(1, "a child needs a parent", elites=self.elites)
        share(mutation_rate=self.mutation_rate)

    def population_size(self, space: Space) -> int:
        del space
        return self.population

    def init(self, space: Space, targets: int, stream: Stream) -> UMDAState:
        shape, device = (targets, self.elites), stream.device
        return UMDAState(
            elites=torch.zeros(*shape, space.dim, dtype=space.dtype, device=device),
            scores=torch.zeros(shape, dtype=torch.float64, device=device),
            known=torch.zeros(shape, dtype=torch.bool, device=device),
            generation=torch.zeros(targets, dtype=torch.int64, device=device),
        )

    def started_at(self, space: Space, state: UMDAState, latents: torch.Tensor) -> UMDAState:
        """The start is the only parent of the first generation, with the lowest score of all."""
        del space
        elites, scores, known = state.elites.clone(), state.scores.clone(), state.known.clone()
        elites[:, 0] = latents.to(elites)
        scores[:, 0] = torch.finfo(scores.dtype).min
        known[:, 0] = True
        return replace(state, elites=elites, scores=scores, known=known)

    def center(self, space: Space, state: UMDAState) -> torch.Tensor:
        return center_of(space, state.elites, state.known.to(torch.float64))

    def ask(self, space: Space, state: UMDAState, stream: Stream) -> torch.Tensor:
        size, dim = self.population, space.dim
        count = state.known.sum(-1).view(-1, 1, 1)
        parents = (stream.uniform(size, dim).to(torch.float64) * count).to(torch.int64)
        children = state.elites.gather(1, torch.minimum(parents, (count - 1).clamp(min=0)))
        mutates = stream.uniform(size, dim) < self.mutation_rate
        mutates.scatter_(-1, stream.integers(dim, size, 1), value=True)  # one at the least
        return torch.where(mutates | (count == 0), space.sample(stream, size), children)

    def tell(
        self,
        space: Space,
        state: UMDAState,
        latents: torch.Tensor,
        scores: torch.Tensor,
        gradients: torch.Tensor | None = None,
    ) -> UMDAState:
        del space, gradients
        pool = torch.cat([latents, state.elites], dim=1)
        known = torch.cat([~scores.isnan(), state.known], dim=1)
        values = torch.cat([comparable(scores), state.scores], dim=1)
        best = descending(torch.where(known, values, torch.nan))[:, : self.elites]
        return UMDAState(
            elites=rows_at(pool, best),
            scores=values.gather(1, best),
            known=known.gather(1, best),
            generation=state.generation + 1,
        )
