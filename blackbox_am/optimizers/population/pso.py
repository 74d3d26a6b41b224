"""Particle swarm optimisation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch

from blackbox_am.core.optimizer import Optimizer
from blackbox_am.core.rng import Stream
from blackbox_am.core.space import Space
from blackbox_am.optimizers._centers import center_of, elite_weights, near
from blackbox_am.optimizers._frame import frame_of
from blackbox_am.optimizers._incumbents import best_row, comparable, improves
from blackbox_am.optimizers._parameters import at_least, positive, share
from blackbox_am.optimizers._targetwise import possible


@dataclass
class PSOState:
    """State of K searches, in the frame of the space (see `_frame`).

    Attributes:
        position: (K, P, D) where the particles were measured last.
        velocity: (K, P, D) their last move.
        memory: (K, P, D) the best point of each particle; undefined where `known` is False.
        scores: (K, P) float64, the scores of `memory`.
        known: (K, P) bool: particles of which a score has come back.
        begun: (K,) bool: whether the search began at given latents, and not with the prior.
        generation: (K,) int64, generations told.
    """

    position: torch.Tensor
    velocity: torch.Tensor
    memory: torch.Tensor
    scores: torch.Tensor
    known: torch.Tensor
    begun: torch.Tensor
    generation: torch.Tensor


@dataclass(frozen=True)
class PSO(Optimizer[PSOState]):
    """Particles that move on with their velocity, accelerated towards their own best point and
    towards the best point of the swarm.

    Sources: J. Kennedy and R. Eberhart, "Particle Swarm Optimization" (ICNN 1995); the
    coefficients are those of M. Clerc and J. Kennedy, "The Particle Swarm: Explosion,
    Stability, and Convergence in a Multidimensional Complex Space" (IEEE Transactions on
    Evolutionary Computation 6, 2002). This implementation moves all
    particles of a generation at once. A particle that the space moved back inside loses the
    velocity that carried it out. A particle whose measurement failed moves on.

    Attributes:
        population: particles, at least 2.
        inertia: share of its velocity that a particle keeps.
        cognitive: most weight of the pull to the particle's own best.
        social: most weight of the pull to the swarm's best.
        max_velocity: limit of each coordinate's velocity, in deviations of the prior.
    """

    name: ClassVar[str] = "pso"
    copies: ClassVar[int] = 22
    exchangeable: ClassVar[bool] = False
    state_type: ClassVar[type[PSOState]] = PSOState

    population: int = 20
    inertia: float = 0.7298
    cognitive: float = 1.49618
    social: float = 1.49618
    max_velocity: float = 2.0

    def __post_init__(self) -> None:
        at_least(2, "a swarm has more than one particle", population=self.population)
        share(inertia=self.inertia)
        positive(cognitive=self.cognitive, social=self.social, max_velocity=self.max_velocity)

    def population_size(self, space: Space) -> int:
        del space
        return self.population

    def init(self, space: Space, targets: int, stream: Stream) -> PSOState:
        shape, device = (targets, self.population), stream.device
        nowhere = torch.zeros(*shape, space.dim, device=device, dtype=stream.dtype)
        return PSOState(
            position=nowhere,
            velocity=nowhere.clone(),
            memory=nowhere.clone(),
            scores=torch.zeros(shape, dtype=torch.float64, device=device),
            known=torch.zeros(shape, dtype=torch.bool, device=device),
            begun=torch.zeros(targets, dtype=torch.bool, device=device),
            generation=torch.zeros(targets, dtype=torch.int64, device=device),
        )

    def started_at(self, space: Space, state: PSOState, latents: torch.Tensor) -> PSOState:
        points = frame_of(space, state.position).inward(latents.to(state.position))
        return replace(
            state,
            position=points.unsqueeze(1).expand_as(state.position).contiguous(),
            begun=torch.ones_like(state.begun),
        )

    def center(self, space: Space, state: PSOState) -> torch.Tensor:
        rows = frame_of(space, state.memory).outward(state.memory)
        return center_of(space, rows, elite_weights(state.scores, state.known))

    def ask(self, space: Space, state: PSOState, stream: Stream) -> torch.Tensor:
        size, dim = self.population, space.dim
        here, known = state.position, state.known.unsqueeze(-1)
        to_own = torch.where(known, state.memory - here, 0.0)
        best = best_row(state.memory, state.scores, state.known).unsqueeze(1)
        to_best = torch.where(known.any(1, keepdim=True), best - here, 0.0)
        velocity = (
            self.inertia * state.velocity
            + self.cognitive * stream.uniform(size, dim) * to_own
            + self.social * stream.uniform(size, dim) * to_best
        ).clamp(-self.max_velocity, self.max_velocity)
        points = frame_of(space, here).outward(here + velocity)
        # Drawn last, so that the draws of one target do not depend on the other targets.
        first = state.generation == 0
        if possible(first):
            begin = near(space, here, space.sample(stream, size), state.begun)
            points = torch.where(first.view(-1, 1, 1), begin, points)
        return points

    def tell(
        self,
        space: Space,
        state: PSOState,
        latents: torch.Tensor,
        scores: torch.Tensor,
        gradients: torch.Tensor | None = None,
    ) -> PSOState:
        del gradients
        here = frame_of(space, state.position).inward(latents)
        first = (state.generation == 0).view(-1, 1, 1)
        better = improves(scores, state.scores, state.known)
        return PSOState(
            position=here,
            velocity=torch.where(first, 0.0, here - state.position),
            memory=torch.where(better.unsqueeze(-1), here, state.memory),
            scores=torch.where(better, comparable(scores), state.scores),
            known=state.known | better,
            begun=state.begun,
            generation=state.generation + 1,
        )
