"""Attacks with one query a generation, which keep the best change of each input."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol, TypeVar

import torch

from blackbox_am.core.optimizer import Optimizer, SearchContext
from blackbox_am.core.rng import Stream
from blackbox_am.core.space import Space
from blackbox_am.optimizers._incumbents import comparable, improves

SCHEDULE_BUDGET = 10_000
"""The budget for which the papers give their schedules."""


class _Keeps(Protocol):
    change: torch.Tensor
    score: torch.Tensor
    known: torch.Tensor


Keeps = TypeVar("Keeps", bound=_Keeps)


@dataclass
class Incumbent:
    """State of K attacks.

    Attributes:
        change: (K, D) the best change so far, in units of the box: -1 or 1 where the attack has
            changed the input, 0 elsewhere.
        score: (K,) float64, its score.
        known: (K,) bool, whether there is a score.
        queries: (K,) int64, generations told.
    """

    change: torch.Tensor
    score: torch.Tensor
    known: torch.Tensor
    queries: torch.Tensor


class InSparseBall(Optimizer[Incumbent]):
    """An attack that changes few pixels, by a schedule that belongs to a budget."""

    state_type: ClassVar[type[Incumbent]] = Incumbent
    begins_apart: ClassVar[bool] = True
    spaces: ClassVar[frozenset[str]] = frozenset({"box"})

    budget: int | None

    def population_size(self, space: Space) -> int:
        del space
        return 1

    def resolve(self, space: Space, context: SearchContext) -> Optimizer[Any]:
        del space
        if self.budget:
            return self
        # Every attack is a dataclass.
        return replace(self, budget=context.queries_per_target)  # type: ignore[type-var]


def begun(change: torch.Tensor, targets: int, stream: Stream) -> Incumbent:
    """The state of attacks whose first change (K, D) has no score yet."""
    return Incumbent(
        change=change,
        score=torch.zeros(targets, dtype=torch.float64, device=stream.device),
        known=torch.zeros(targets, dtype=torch.bool, device=stream.device),
        queries=torch.zeros(targets, dtype=torch.int64, device=stream.device),
    )


def kept(state: Keeps, change: torch.Tensor, scores: torch.Tensor) -> Keeps:
    """`state` with the changes (K, D) whose scores (K,) are not below those of the best so far."""
    better = improves(scores, state.score, state.known)
    # Every state is a dataclass.
    return replace(  # type: ignore[type-var]
        state,
        change=torch.where(better[:, None], change, state.change),
        score=torch.where(better, comparable(scores), state.score),
        known=state.known | better,
    )


def in_schedule(queries: torch.Tensor, budget: int | None) -> torch.Tensor:
    """(K,) int64: the query of a budget of `SCHEDULE_BUDGET` that corresponds to each of `queries`
    in `budget`.
    """
    return queries * SCHEDULE_BUDGET // (budget or SCHEDULE_BUDGET)
