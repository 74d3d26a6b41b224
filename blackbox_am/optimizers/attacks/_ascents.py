"""Ascents side by side in a ball: what `pgd` and `apgd` have in common."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Protocol, TypeVar

import torch

from blackbox_am.core.rng import Stream
from blackbox_am.core.space import Space
from blackbox_am.optimizers.attacks import _steps
from blackbox_am.optimizers.attacks._ball import InBall, changes_of, latents_of


class Points(Protocol):
    """State of P ascents for each of K targets.

    Attributes:
        target: (K,) int64, the position of each target in the study.
        change: (K, P, D) where each ascent stands, in units of the ball.
        begun: (K, P) bool, whether an ascent has a point; the others begin at a random point.
    """

    target: torch.Tensor
    change: torch.Tensor
    begun: torch.Tensor


State = TypeVar("State", bound=Points)


class Ascents(InBall[State]):
    """An attack of order 1 that makes `population` ascents side by side for each target."""

    order: ClassVar[int] = 1
    rank_based: ClassVar[bool] = False
    exchangeable: ClassVar[bool] = False

    norm: _steps.Norm
    population: int

    def population_size(self, space: Space) -> int:
        """See `Optimizer.population_size`."""
        del space
        return self.population

    def started_at(self, space: Space, state: State, latents: torch.Tensor) -> State:
        """The first ascent begins at the start."""
        change, begun = state.change.clone(), state.begun.clone()
        change[:, 0] = changes_of(space, latents.to(change))
        begun[:, 0] = True
        return replace(state, change=change, begun=begun)  # type: ignore[type-var]  # a dataclass

    def ask(self, space: Space, state: State, stream: Stream) -> torch.Tensor:
        """See `Optimizer.ask`."""
        random = _steps.scattered(stream, self.population, space.dim, self.norm)
        within = _steps.within(random, self.norm, self.limits_at(space, state))
        changes = torch.where(state.begun.unsqueeze(-1), state.change, within)
        return latents_of(space, changes)

    def limits_at(self, space: Space, state: State) -> _steps.Limits:
        """Least and greatest changes, each (K or 1, D), for the targets of `state`."""
        return self.limits(space, state.target, state.change[:, 0])
