"""Gradient ascent, where gradients exist."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import torch

from blackbox_am.core.optimizer import Optimizer
from blackbox_am.core.rng import Stream
from blackbox_am.core.space import Space
from blackbox_am.errors import GradientUnavailable
from blackbox_am.optimizers._centers import START_SPREAD
from blackbox_am.optimizers._frame import frame_of
from blackbox_am.optimizers._incumbents import best_row, comparable

WORTH_RATE = 0.1
"""The least share of the newest score in the running mean of an ascent's scores."""


@dataclass
class AdamState:
    """State of P ascents for each of K targets, in the frame of the space (see `_frame`).

    Attributes:
        position: (K, P, D).
        momentum: (K, P, D) running mean of the gradients.
        power: (K, P, D) running mean of their squares.
        steps: (K, P) int64, steps taken.
        worth: (K, P) float64, running mean of the scores, over the last few steps.
        generation: (K,) int64, generations told.
    """

    position: torch.Tensor
    momentum: torch.Tensor
    power: torch.Tensor
    steps: torch.Tensor
    worth: torch.Tensor
    generation: torch.Tensor


@dataclass(frozen=True)
class Adam(Optimizer[AdamState]):
    """Gradient ascent on the latent with Adam: activation maximisation where the model can be
    differentiated. The baseline that gradient-free searches are compared with.

    Each row is an ascent of its own, from its own sample of the prior. Rows that failed, or
    whose gradient is not finite, stay where they are.

    Source: D. P. Kingma and J. Ba, "Adam: A Method for Stochastic Optimization" (ICLR 2015),
    Algorithm 1. This implementation ascends, in coordinates in which the prior has deviation 1, and
    offers the decoupled decay of I. Loshchilov and F. Hutter (ICLR 2019).

    Attributes:
        population: independent ascents for each target. At equal queries 2 found more than 4 on 12
            of 12 units: an ascent gains more from further steps than from more beginnings.
        learning_rate: step a coordinate and generation, in deviations of the prior.
        beta1: memory of the mean gradient, in [0, 1).
        beta2: memory of its squares, in [0, 1).
        epsilon: added to the root of the squares.
        decay: share of its distance to the prior's mean that a point gives up each step,
            times the learning rate. 0: none.
    """

    name: ClassVar[str] = "adam"
    order: ClassVar[int] = 1
    rank_based: ClassVar[bool] = False
    exchangeable: ClassVar[bool] = False
    state_type: ClassVar[type[AdamState]] = AdamState

    population: int = 2
    learning_rate: float = 0.05
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    decay: float = 0.0

    def __post_init__(self) -> None:
        if self.population < 1:
            raise ValueError(f"population must be at least 1, got {self.population}")
        for name in ("learning_rate", "epsilon"):
            value = getattr(self, name)
            if not (value > 0 and math.isfinite(value)):
                raise ValueError(f"{name} must be positive and finite, got {value}")
        for name in ("beta1", "beta2"):
            value = getattr(self, name)
            if not 0 <= value < 1:
                raise ValueError(f"{name} must be in [0, 1), got {value}")
        if not 0 <= self.decay * self.learning_rate <= 1:
            raise ValueError(
                "decay times learning_rate must be in [0, 1], "
                f"got {self.decay * self.learning_rate}"
            )

    def population_size(self, space: Space) -> int:
        del space
        return self.population

    def init(self, space: Space, targets: int, stream: Stream) -> AdamState:
        sample = space.sample(stream, self.population)
        position = frame_of(space, sample).inward(sample)
        return AdamState(
            position=position,
            momentum=torch.zeros_like(position),
            power=torch.zeros_like(position),
            steps=torch.zeros(position.shape[:2], dtype=torch.int64, device=position.device),
            worth=torch.zeros(position.shape[:2], dtype=torch.float64, device=position.device),
            generation=torch.zeros(targets, dtype=torch.int64, device=position.device),
        )

    def started_at(self, space: Space, state: AdamState, latents: torch.Tensor) -> AdamState:
        """Row 0 begins at the start, the others around it."""
        points = frame_of(space, state.position).inward(latents.to(state.position)).unsqueeze(1)
        return replace(state, position=points + START_SPREAD * state.position)

    def center(self, space: Space, state: AdamState) -> torch.Tensor:
        """Where the ascent stands whose last scores were highest on average: ascents of different
        beginnings have no common centre.
        """
        begun = state.steps > 0
        ahead = best_row(state.position, state.worth, begun)
        return space.project(frame_of(space, ahead).outward(ahead))

    def ask(self, space: Space, state: AdamState, stream: Stream) -> torch.Tensor:
        del stream
        return frame_of(space, state.position).outward(state.position)

    def tell(
        self,
        space: Space,
        state: AdamState,
        latents: torch.Tensor,
        scores: torch.Tensor,
        gradients: torch.Tensor | None = None,
    ) -> AdamState:
        if gradients is None:
            raise GradientUnavailable(
                "adam needs the gradients of the scores and got none; use an oracle and a "
                "generator that can be differentiated, or an optimizer of order 0 such as "
                "`sep_cma`",
                field="optimizer.name",
            )
        frame = frame_of(space, state.position)
        moves = gradients.isfinite().all(-1) & ~scores.isnan()
        inside = moves.unsqueeze(-1)
        slope = torch.where(inside, gradients * frame.scale, 0.0)
        momentum = self.beta1 * state.momentum + (1 - self.beta1) * slope
        power = self.beta2 * state.power + (1 - self.beta2) * slope.square()
        steps = state.steps + moves
        known = comparable(scores)
        share = (1 / steps.clamp(min=1).double()).clamp(min=WORTH_RATE)
        step = (momentum / _bias(self.beta1, steps, momentum)) / (
            (power / _bias(self.beta2, steps, power)).sqrt() + self.epsilon
        )
        start = frame.inward(latents)
        target = frame.clamp(
            start * (1 - self.learning_rate * self.decay) + self.learning_rate * step
        )
        return AdamState(
            position=torch.where(inside, target, state.position),
            momentum=torch.where(inside, momentum, state.momentum),
            power=torch.where(inside, power, state.power),
            steps=steps,
            worth=torch.where(moves, state.worth + share * (known - state.worth), state.worth),
            generation=state.generation + 1,
        )


def _bias(beta: float, steps: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """(K, P, 1): 1 - beta^steps, the share of a running mean that has been filled."""
    return -torch.expm1(steps.to(like.dtype) * math.log(max(beta, 1e-300))).unsqueeze(-1)
