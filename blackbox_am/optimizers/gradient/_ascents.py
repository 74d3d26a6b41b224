"""Ascents side by side in a latent space: what all optimizers of order 1 in this room share."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self, TypeVar

import torch

from blackbox_am.core.optimizer import Optimizer, SearchContext
from blackbox_am.core.rng import Stream
from blackbox_am.core.space import Space
from blackbox_am.errors import GradientUnavailable, InvalidSpec
from blackbox_am.optimizers._centers import START_SPREAD
from blackbox_am.optimizers._frame import Frame, frame_of
from blackbox_am.optimizers._incumbents import best_row, comparable
from blackbox_am.optimizers._parameters import at_least, positive, share
from blackbox_am.optimizers._targetwise import norms, possible
from blackbox_am.optimizers.gradient._schedules import Schedule, share_of_rate

WORTH_RATE = 0.1
"""The least share of the newest score in the running mean of an ascent's scores."""
MAX_SLOPE = 1e18
"""Gradients with a coordinate above this count as not finite, since float32 cannot hold their
squares."""
NO_WORTH = torch.finfo(torch.float64).min


@dataclass
class AscentState:
    """State of P ascents for each of K targets, in the frame of the space (see `_frame`).

    Attributes:
        position: (K, P, D).
        begun: (K, P) bool, whether an ascent has a position; the others begin at a sample.
        steps: (K, P) int64, steps of this ascent so far.
        worth: (K, P) float64, running mean of the scores, over the last few steps.
        generation: (K,) int64, generations told.
        kept: (K, D) where the best ascent stood of those that have ended.
        kept_worth: (K,) float64, its worth; the least number without such an ascent.
    """

    position: torch.Tensor
    begun: torch.Tensor
    steps: torch.Tensor
    worth: torch.Tensor
    generation: torch.Tensor
    kept: torch.Tensor
    kept_worth: torch.Tensor


State = TypeVar("State", bound=AscentState)


@dataclass(frozen=True)
class Ascents(Optimizer[State]):
    """Base of optimizers of order 1: P independent ascents for each target.

    Each row is an ascent of its own, from its own sample of the prior. Rows that failed, or whose
    gradient is not finite, stay where they are. All lengths are in deviations of the prior. A
    subclass computes one step (`step`) and names the tensors that it remembers (`memory`).

    Attributes:
        population: ascents side by side for each target.
        learning_rate: size of a step.
        schedule: how the learning rate falls during an ascent: `constant`, `cosine`, `linear` or
            `step`.
        final_rate: share of the learning rate at the end of `cosine`, `linear` and `step`.
        steps: steps of an ascent. None: the generations of the budget, divided by `restarts`.
        restarts: number of consecutive ascents of each row. The first begin at the start of the
            search, the others at fresh samples of the prior. Every row counts for the budget. The
            last ascent goes on if the budget grows.
        clip: largest Euclidean norm of the gradient of a row; a longer one is shortened. None: no
            limit.
    """

    order: ClassVar[int] = 1
    rank_based: ClassVar[bool] = False
    exchangeable: ClassVar[bool] = False

    population: int = 1
    learning_rate: float = 0.1
    schedule: Schedule = "constant"
    final_rate: float = 0.01
    steps: int | None = None
    restarts: int = 1
    clip: float | None = None

    def __post_init__(self) -> None:
        at_least(1, "each is an ascent", population=self.population, restarts=self.restarts)
        at_least(1, "an ascent makes steps", steps=self.steps)
        positive(learning_rate=self.learning_rate, clip=self.clip)
        share(final_rate=self.final_rate)

    def memory(self, position: torch.Tensor) -> dict[str, torch.Tensor]:
        """The further fields of the state, before the first step of an ascent. They are (K, P) or
        (K, P, D), for positions (K, P, D).
        """
        del position
        return {}

    @abstractmethod
    def step(
        self,
        frame: Frame,
        state: State,
        here: torch.Tensor,
        slopes: torch.Tensor,
        steps: torch.Tensor,
        rate: torch.Tensor,
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """One step of every ascent.

        Args:
            frame: the frame of the space.
            state: the state before the step.
            here: (K, P, D) the points that were measured, in the frame.
            slopes: (K, P, D) the gradients there, in the frame; 0 for rows that stay.
            steps: (K, P) int64, steps of each ascent, with this one.
            rate: (K, 1, 1) the present learning rate.

        Returns:
            The points after the step, which may lie outside the bounds, and the new `memory`.
        """

    def population_size(self, space: Space) -> int:
        del space
        return self.population

    def resolve(self, space: Space, context: SearchContext) -> Self:
        """The same optimizer with the number of steps that the budget allows.

        Raises:
            InvalidSpec: if the budget has fewer generations than there are restarts.
        """
        del space
        generations = context.queries_per_target // self.population
        if self.steps is not None:
            return self
        if self.restarts > max(generations, 1):
            raise InvalidSpec(
                f"{self.name}: {context.queries_per_target} queries a target are {generations} "
                f"generations of {self.population}, and restarts = {self.restarts} needs at least "
                "as many; lower restarts, or raise the budget",
                field="optimizer.parameters.restarts",
            )
        return replace(self, steps=max(generations // self.restarts, 1))

    def init(self, space: Space, targets: int, stream: Stream) -> State:
        sample = space.sample(stream, self.population)
        position = frame_of(space, sample).inward(sample)
        rows, device = position.shape[:2], position.device
        state: State = self.state_type(
            position=position,
            begun=torch.ones(rows, dtype=torch.bool, device=device),
            steps=torch.zeros(rows, dtype=torch.int64, device=device),
            worth=torch.zeros(rows, dtype=torch.float64, device=device),
            generation=torch.zeros(targets, dtype=torch.int64, device=device),
            kept=torch.zeros_like(position[:, 0]),
            kept_worth=torch.full((targets,), NO_WORTH, dtype=torch.float64, device=device),
            **self.memory(position),
        )
        return state

    def started_at(self, space: Space, state: State, latents: torch.Tensor) -> State:
        """Row 0 begins at the start, the others around it."""
        points = frame_of(space, state.position).inward(latents.to(state.position)).unsqueeze(1)
        spread = START_SPREAD * state.position
        spread[:, 0] = 0.0
        return _with(state, position=points + spread)

    def center(self, space: Space, state: State) -> torch.Tensor:
        """Where the ascent stands, or stood at its end, whose last scores were highest on average:
        ascents of different beginnings have no common centre.
        """
        ahead, worth = _ahead(state)
        ended = (state.kept_worth > worth).unsqueeze(-1)
        best = torch.where(ended, state.kept, ahead)
        return space.project(frame_of(space, best).outward(best))

    def ask(self, space: Space, state: State, stream: Stream) -> torch.Tensor:
        latents = frame_of(space, state.position).outward(self.points(state, stream))
        if self.restarts > 1 and possible(~state.begun):
            sample = space.sample(stream, self.population)
            latents = torch.where(state.begun.unsqueeze(-1), latents, sample)
        return latents

    def points(self, state: State, stream: Stream) -> torch.Tensor:
        """(K, P, D) the points to measure next, in the frame."""
        del stream
        return state.position

    def tell(
        self,
        space: Space,
        state: State,
        latents: torch.Tensor,
        scores: torch.Tensor,
        gradients: torch.Tensor | None = None,
    ) -> State:
        if gradients is None:
            raise GradientUnavailable(
                f"{self.name} needs the gradients of the scores and got none; use an oracle and a "
                "generator that can be differentiated, or an optimizer of order 0 such as "
                "`sep_cma` or `estimated_gradient`",
                field="optimizer.name",
            )
        frame = frame_of(space, state.position)
        slopes = gradients * frame.scale
        moves = (slopes.abs() <= MAX_SLOPE).all(-1) & ~scores.isnan()
        inside = moves.unsqueeze(-1)
        slopes = self._clipped(torch.where(inside, slopes, 0.0))
        steps = state.steps + moves
        here, rate = frame.inward(latents), self.rate(state).to(latents.dtype)
        ahead, memory = self.step(frame, state, here, slopes, steps, rate)
        newest = (1 / steps.clamp(min=1).double()).clamp(min=WORTH_RATE)
        worth = (1 - newest) * state.worth + newest * comparable(scores)
        told = _with(
            state,
            position=torch.where(inside, frame.clamp(ahead), state.position),
            begun=state.begun | moves,
            steps=steps,
            worth=torch.where(moves, worth, state.worth),
            generation=state.generation + 1,
            **_chosen(moves, memory, state),
        )
        return self._after(told)

    def rate(self, state: State) -> torch.Tensor:
        """(K, 1, 1) float64: the learning rate of the present step."""
        return self.learning_rate * self.share(state)

    def share(self, state: State) -> torch.Tensor:
        """(K, 1, 1) float64: the present share of the learning rate."""
        made = self._place(state.generation).double()
        progress = made / self.steps if self.steps else torch.zeros_like(made)
        return share_of_rate(self.schedule, self.final_rate, progress).view(-1, 1, 1)

    def _place(self, generation: torch.Tensor) -> torch.Tensor:
        """(K,) int64: generations since the present ascents began."""
        if not self.steps:
            return generation
        ended = (generation // self.steps).clamp(max=self.restarts - 1)
        return generation - ended * self.steps

    def _clipped(self, slopes: torch.Tensor) -> torch.Tensor:
        if self.clip is None:
            return slopes
        lengths = norms(slopes).unsqueeze(-1)
        return torch.where(lengths > self.clip, slopes * (self.clip / lengths), slopes)

    def _after(self, state: State) -> State:
        """`state`, in which the ascents of targets that have made all steps begin anew."""
        if self.restarts == 1 or not self.steps:
            return state
        ends = self._place(state.generation) == 0
        ahead, worth = _ahead(state)
        better = ends & (worth > state.kept_worth)
        goes_on = ~ends.unsqueeze(-1)
        return _with(
            state,
            begun=state.begun & goes_on,
            steps=torch.where(goes_on, state.steps, 0),
            worth=torch.where(goes_on, state.worth, 0.0),
            kept=torch.where(better.unsqueeze(-1), ahead, state.kept),
            kept_worth=torch.where(better, worth, state.kept_worth),
            **_chosen(ends.unsqueeze(-1), self.memory(state.position), state),
        )


def _ahead(state: AscentState) -> tuple[torch.Tensor, torch.Tensor]:
    """The position (K, D) of the running ascent with the largest worth, and this worth (K,)."""
    begun = state.steps > 0
    worth = torch.where(begun, state.worth, NO_WORTH).amax(-1)
    return best_row(state.position, state.worth, begun), worth


def _chosen(
    rows: torch.Tensor, memory: dict[str, torch.Tensor], state: AscentState
) -> dict[str, torch.Tensor]:
    """`memory` for `rows` (K, P) or (K, 1) that are True; the memory of `state` for the others."""
    return {
        name: torch.where(rows if new.ndim == 2 else rows.unsqueeze(-1), new, getattr(state, name))
        for name, new in memory.items()
    }


def _with(state: State, **changed: Any) -> State:
    return replace(state, **changed)
