"""Projected gradient ascent whose steps halve where the ascent stalls."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any, ClassVar, Literal

import torch

from blackbox_am.core.optimizer import Optimizer, SearchContext
from blackbox_am.core.rng import Stream
from blackbox_am.core.space import Space
from blackbox_am.optimizers._incumbents import comparable
from blackbox_am.optimizers._parameters import at_least, share
from blackbox_am.optimizers.attacks import _steps
from blackbox_am.optimizers.attacks._ascents import Ascents
from blackbox_am.optimizers.attacks._ball import changes_of
from blackbox_am.optimizers.attacks._gradients import needed

STEPS = 100
"""Steps of an ascent in the paper."""
FIRST_STEP = 2.0
"""Length of the first steps, in radii."""
FORWARD = 0.75
"""alpha, the weight of the new step; the rest is that of the step before."""


@dataclass
class ApgdState:
    """State of P ascents for each of K targets.

    Attributes:
        target: (K,) int64, the position of each target in the study.
        change: (K, P, D) where each ascent stands, in units of the ball.
        previous: (K, P, D) where it stood one step before.
        best: (K, P, D) its point with the best score.
        best_slope: (K, P, D) the gradient at this point.
        best_score: (K, P) float64, the score of this point.
        last: (K, P) float64, the score of the point from which the last step was made.
        reference: (K, P) float64, the best score at the last checkpoint.
        length: (K, P) float64, the length of a step, in radii.
        halved: (K, P) bool, whether the length was halved at the last checkpoint.
        rises: (K, P) int64, steps since the last checkpoint that raised the score.
        steps: (K, P) int64, steps of this ascent so far.
        begun: (K, P) bool, whether an ascent has a point; the others begin at a random point.
    """

    target: torch.Tensor
    change: torch.Tensor
    previous: torch.Tensor
    best: torch.Tensor
    best_slope: torch.Tensor
    best_score: torch.Tensor
    last: torch.Tensor
    reference: torch.Tensor
    length: torch.Tensor
    halved: torch.Tensor
    rises: torch.Tensor
    steps: torch.Tensor
    begun: torch.Tensor


@dataclass(frozen=True)
class Apgd(Ascents[ApgdState]):
    """Auto-PGD: projected gradient ascent with momentum, whose steps halve at checkpoints where the
    ascent stalls; it then goes on from its best point.

    Source: F. Croce and M. Hein, "Reliable evaluation of adversarial robustness with an ensemble of
    diverse parameter-free attacks" (ICML 2020), Algorithm 1. With the projection P, the length h,
    first 2 radii, and the direction u of the gradient (signs for `linf`, unit length for `l2`):

        z       = P(x + h u)
        x_next  = P(x + 3/4 (z - x) + 1/4 (x - x_previous))

    without the second term in the first step. Checkpoints come after the shares 0.22, 0.41, 0.57,
    0.70, 0.80, 0.87, 0.93 and 0.99 of the steps. At a checkpoint h is halved if less than `rising`
    of the steps since the last one raised the score, or if h was not halved there and the best
    score has not risen since.

    This implementation differs in three things. The loss is the study's objective, for example
    `cross_entropy` or `dlr`. An ascent that has made all its steps is followed by another one from
    a new random point, until the budget is spent or the target has succeeded; so is an ascent whose
    score or gradient fails.

    The space is a box around the input: `perturbation` with ``squash = false`` and the same ball.
    With `bits`, the model sees the rounded input, and the gradient passes the rounding unchanged.
    Every row costs one forward and one backward pass.

    Attributes:
        norm: the ball: `linf` or `l2`.
        steps: N, steps of an ascent; it measures one point more than it makes steps. None: 100, or
            all that the budget allows, if that is less.
        population: ascents side by side for each target, each a row of a generation.
        random_start: whether the first ascents begin at a random point, or at the input itself.
        rising: rho, the least share of steps that raise the score in an interval without halving.
    """

    name: ClassVar[str] = "apgd"
    state_type: ClassVar[type[ApgdState]] = ApgdState

    norm: Literal["linf", "l2"] = "linf"
    steps: int | None = None
    population: int = 1
    random_start: bool = True
    rising: float = 0.75

    def __post_init__(self) -> None:
        at_least(1, "a point is measured after a step", steps=self.steps)
        at_least(1, "each is an ascent", population=self.population)
        share(rising=self.rising)

    def resolve(self, space: Space, context: SearchContext) -> Optimizer[Any]:
        del space
        most = context.queries_per_target // self.population - 1
        return self if self.steps else replace(self, steps=max(min(STEPS, most), 1))

    def init(self, space: Space, targets: int, stream: Stream) -> ApgdState:
        rows = (targets, self.population)
        point = torch.zeros(*rows, space.dim, dtype=stream.dtype, device=stream.device)
        number = torch.zeros(rows, dtype=torch.float64, device=stream.device)
        count = torch.zeros(rows, dtype=torch.int64, device=stream.device)
        return ApgdState(
            target=torch.arange(targets, device=stream.device),
            change=point,
            previous=point.clone(),
            best=point.clone(),
            best_slope=point.clone(),
            best_score=number,
            last=number.clone(),
            reference=number.clone(),
            length=number + FIRST_STEP,
            halved=torch.zeros(rows, dtype=torch.bool, device=stream.device),
            rises=count,
            steps=count.clone(),
            begun=torch.full(rows, not self.random_start, device=stream.device),
        )

    def tell(
        self,
        space: Space,
        state: ApgdState,
        latents: torch.Tensor,
        scores: torch.Tensor,
        gradients: torch.Tensor | None = None,
    ) -> ApgdState:
        slopes, moves = needed(self.name, space, scores, gradients)
        change = torch.where(state.begun.unsqueeze(-1), state.change, changes_of(space, latents))
        measured = _measured(replace(state, change=change), slopes, comparable(scores))
        checked, slopes = self._checked(measured, slopes)
        return self._stepped(space, checked, slopes, moves & (state.steps < self._most))

    def _checked(self, state: ApgdState, slopes: torch.Tensor) -> tuple[ApgdState, torch.Tensor]:
        """The state after a checkpoint, where there is one, and the gradients at its changes."""
        interval = torch.zeros_like(state.steps)
        for begin, end in pairwise((0, *self._checkpoints)):
            interval = torch.where(state.steps == end, end - begin, interval)
        due = interval > 0
        oscillates = state.rises < self.rising * interval
        stalls = ~state.halved & (state.best_score <= state.reference)
        halve = due & (oscillates | stalls)
        back = halve.unsqueeze(-1)
        checked = replace(
            state,
            change=torch.where(back, state.best, state.change),
            last=torch.where(halve, state.best_score, state.last),
            reference=torch.where(due, state.best_score, state.reference),
            length=torch.where(halve, state.length / 2, state.length),
            halved=torch.where(due, halve, state.halved),
            rises=torch.where(due, 0, state.rises),
        )
        return checked, torch.where(back, state.best_slope, slopes)

    def _stepped(
        self, space: Space, state: ApgdState, slopes: torch.Tensor, goes_on: torch.Tensor
    ) -> ApgdState:
        """The state after the next step of the rows that go on; the others begin again."""
        limits = self.limits_at(space, state)
        change = state.change
        length = state.length.unsqueeze(-1).to(change.dtype)
        first = (state.steps == 0).unsqueeze(-1)
        ahead = change + length * _steps.direction(slopes, self.norm)
        step = _steps.within(ahead, self.norm, limits) - change
        inertia = (1 - FORWARD) * (change - state.previous)
        step = torch.where(first, step, FORWARD * step + inertia)
        return replace(
            state,
            change=_steps.within(change + step, self.norm, limits),
            previous=change,
            length=torch.where(goes_on, state.length, FIRST_STEP),
            halved=state.halved & goes_on,
            rises=torch.where(goes_on, state.rises, 0),
            steps=torch.where(goes_on, state.steps + 1, 0),
            begun=goes_on,
        )

    @property
    def _most(self) -> int:
        return self.steps or STEPS

    @cached_property
    def _checkpoints(self) -> tuple[int, ...]:
        return checkpoints(self._most)


def checkpoints(steps: int) -> tuple[int, ...]:
    """The numbers of steps after which an ascent of `steps` steps is checked: ceil(p N) for the
    shares p of the paper, 0.22 and then max(the last interval - 0.03, 0.06) more each time.
    """
    share, interval, found = 22, 22, []  # in hundredths, which are exact
    while share <= 100:
        found.append(math.ceil(share * steps / 100))
        interval = max(interval - 3, 6)
        share += interval
    return tuple(dict.fromkeys(found))


def _measured(state: ApgdState, slopes: torch.Tensor, scores: torch.Tensor) -> ApgdState:
    """The state with the scores and gradients of its changes."""
    first = state.steps == 0
    better = first | (scores > state.best_score)
    here = better.unsqueeze(-1)
    return replace(
        state,
        best=torch.where(here, state.change, state.best),
        best_slope=torch.where(here, slopes, state.best_slope),
        best_score=torch.where(better, scores, state.best_score),
        last=scores,
        reference=torch.where(first, scores, state.reference),
        rises=state.rises + (~first & (scores > state.last)),
    )
