"""Gradient ascent with Adam and Nesterov momentum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from blackbox_am.optimizers._frame import Frame
from blackbox_am.optimizers._parameters import positive
from blackbox_am.optimizers.gradient._moments import Moments, MomentState

WARM_UP = 0.96
"""Base of the warm-up of the momentum."""


@dataclass
class NadamState(MomentState):
    """State of P ascents for each of K targets; see `MomentState` for the other fields.

    Attributes:
        product: (K, P) float64, the product of the momentum coefficients so far.
    """

    product: torch.Tensor


@dataclass(frozen=True)
class Nadam(Moments[NadamState]):
    """Gradient ascent on the latent with NAdam, which is Adam with Nesterov momentum: the optimizer
    of MACO's and Horama's feature visualisations.

    Source: T. Dozat, "Incorporating Nesterov Momentum into Adam" (ICLR 2016 workshop), Algorithm 2,
    with the warm-up of the momentum that its section 2 advises:
    mu_t = beta1 (1 - .5 .96^(t momentum_decay)).
    It ascends, in coordinates in which the prior has deviation 1, and offers the decoupled decay of
    I. Loshchilov and F. Hutter (ICLR 2019). Rows that failed, or whose gradient is not finite, stay
    where they are.

    Attributes:
        population: ascents side by side for each target.
        learning_rate: step a coordinate and generation, in deviations of the prior.
        schedule: how the learning rate falls during an ascent: `constant`, `cosine`, `linear` or
            `step` (see `_schedules`).
        final_rate: share of the learning rate at the end of an ascent.
        steps: steps of an ascent. None: the generations of the budget, divided by `restarts`.
        restarts: consecutive ascents of each row; those after the first begin at fresh samples.
        clip: largest Euclidean norm of the gradient of a row. None: no limit.
        beta1: memory of the mean gradient after the warm-up, in [0, 1).
        beta2: memory of its squares, in [0, 1).
        epsilon: added to the root of the squares.
        decay: share of its distance to the prior's mean that a point gives up each step,
            times the learning rate. 0: none.
        momentum_decay: speed of the warm-up of the momentum.
    """

    name: ClassVar[str] = "nadam"
    state_type: ClassVar[type[NadamState]] = NadamState

    momentum_decay: float = 0.004

    def __post_init__(self) -> None:
        super().__post_init__()
        positive(momentum_decay=self.momentum_decay)

    def memory(self, position: torch.Tensor) -> dict[str, torch.Tensor]:
        ones = torch.ones(position.shape[:2], dtype=torch.float64, device=position.device)
        return {**super().memory(position), "product": ones}

    def step(
        self,
        frame: Frame,
        state: NadamState,
        here: torch.Tensor,
        slopes: torch.Tensor,
        steps: torch.Tensor,
        rate: torch.Tensor,
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        del frame
        momentum, power = self.moments(state, slopes)
        now, next_one = self._coefficient(steps), self._coefficient(steps + 1)
        product = state.product * now
        of_slope = (1 - now) / (1 - product)
        of_momentum = next_one / (1 - product * next_one)
        direction = _rows(of_slope, slopes) * slopes + _rows(of_momentum, slopes) * momentum
        ahead = self.moved(here, direction, power, steps, rate)
        return ahead, {"momentum": momentum, "power": power, "product": product}

    def _coefficient(self, steps: torch.Tensor) -> torch.Tensor:
        """(K, P) float64: the coefficient of the momentum at step number `steps`."""
        return self.beta1 * (1 - 0.5 * WARM_UP ** (steps.double() * self.momentum_decay))


def _rows(factors: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    return factors.to(like.dtype).unsqueeze(-1)
