"""Running means of gradients and of their squares: what `adam` and `nadam` have in common."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeVar

import torch

from blackbox_am.optimizers._parameters import positive
from blackbox_am.optimizers.gradient._ascents import Ascents, AscentState


@dataclass
class MomentState(AscentState):
    """State of P ascents for each of K targets; see `AscentState` for the other fields.

    Attributes:
        momentum: (K, P, D) running mean of the gradients.
        power: (K, P, D) running mean of their squares.
    """

    momentum: torch.Tensor
    power: torch.Tensor


State = TypeVar("State", bound=MomentState)


@dataclass(frozen=True)
class Moments(Ascents[State]):
    """Base of optimizers that scale each coordinate by a running mean of its squared gradients.

    Attributes:
        beta1: memory of the mean gradient, in [0, 1).
        beta2: memory of its squares, in [0, 1).
        epsilon: added to the root of the squares.
        decay: share of its distance to the prior's mean that a point gives up each step,
            times the learning rate. 0: none.
    """

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    decay: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        positive(epsilon=self.epsilon)
        for name in ("beta1", "beta2"):
            value = getattr(self, name)
            if not 0 <= value < 1:
                raise ValueError(f"{name} must be in [0, 1), got {value}")
        if not 0 <= self.decay * self.learning_rate <= 1:
            raise ValueError(
                "decay times learning_rate must be in [0, 1], "
                f"got {self.decay * self.learning_rate}"
            )

    def memory(self, position: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"momentum": torch.zeros_like(position), "power": torch.zeros_like(position)}

    def moments(self, state: State, slopes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(K, P, D) each: `momentum` and `power` with one more gradient."""
        momentum = self.beta1 * state.momentum + (1 - self.beta1) * slopes
        return momentum, self.beta2 * state.power + (1 - self.beta2) * slopes.square()

    def moved(
        self,
        here: torch.Tensor,
        direction: torch.Tensor,
        power: torch.Tensor,
        steps: torch.Tensor,
        rate: torch.Tensor,
    ) -> torch.Tensor:
        """(K, P, D): the points `here` after a step along `direction`, each coordinate divided by
        the root of its mean square, and after the decay.
        """
        scale = (power / filled(self.beta2, steps, power)).sqrt() + self.epsilon
        return here * (1 - rate * self.decay) + rate * (direction / scale)


def filled(beta: float, steps: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """(K, P, 1): 1 - beta^steps, the share of a running mean that has been filled."""
    return -torch.expm1(steps.to(like.dtype) * math.log(max(beta, 1e-300))).unsqueeze(-1)
