"""Gradient ascent with steps of a fixed length."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from blackbox_am.optimizers._frame import Frame
from blackbox_am.optimizers._slopes import unit
from blackbox_am.optimizers.gradient._ascents import Ascents, AscentState


@dataclass
class SgdState(AscentState):
    """State of P ascents for each of K targets; see `AscentState` for the other fields.

    Attributes:
        momentum: (K, P, D) running mean of the normalised gradients.
    """

    momentum: torch.Tensor


@dataclass(frozen=True)
class Sgd(Ascents[SgdState]):
    """Gradient ascent on the latent along the normalised gradient, with momentum: the rule of the
    first feature visualisations, here as the plainest of all ascents.

    The step is learning_rate sqrt(D) g / |g|, so that the root mean square of a coordinate's step
    is the learning rate, whatever the scale of the score. The length sqrt(D) is that of a sample
    of the prior. The gradient is normalised by its Euclidean norm and not by its mean magnitude, as
    DeepDream does (A. Mordvintsev, C. Olah and M. Tyka, 2015), because a step along a gradient with
    few non-zero coordinates then has the same length as every other; `dgn_am` divides by the mean
    magnitude. With momentum, the step follows the running mean of the normalised gradients, whose
    length is at most theirs: m = momentum m + (1 - momentum) g / |g|.

    Source of normalised steps: N. Z. Shor, "Minimization Methods for Non-Differentiable Functions"
    (Springer 1985), section 2.1; of momentum: B. T. Polyak, "Some methods of speeding up the
    convergence of iteration methods" (1964), here as a mean and not as a sum. Rows that failed, or
    whose gradient is not finite, stay where they are.

    Attributes:
        population: ascents side by side for each target.
        learning_rate: root mean square of a coordinate's step, in deviations of the prior.
        schedule: how the learning rate falls during an ascent: `constant`, `cosine`, `linear` or
            `step` (see `_schedules`).
        final_rate: share of the learning rate at the end of an ascent.
        steps: steps of an ascent. None: the generations of the budget, divided by `restarts`.
        restarts: consecutive ascents of each row; those after the first begin at fresh samples.
        clip: largest Euclidean norm of the gradient of a row, before it is normalised; without
            effect here, and accepted so that all ascents have the same parameters. None: no limit.
        momentum: memory of the mean direction, in [0, 1). 0: none.
    """

    name: ClassVar[str] = "sgd"
    state_type: ClassVar[type[SgdState]] = SgdState

    momentum: float = 0.9

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum must be in [0, 1), got {self.momentum}")

    def memory(self, position: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"momentum": torch.zeros_like(position)}

    def step(
        self,
        frame: Frame,
        state: SgdState,
        here: torch.Tensor,
        slopes: torch.Tensor,
        steps: torch.Tensor,
        rate: torch.Tensor,
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        del frame, steps
        momentum = self.momentum * state.momentum + (1 - self.momentum) * unit(slopes)
        length = here.shape[-1] ** 0.5
        return here + rate * length * momentum, {"momentum": momentum}
