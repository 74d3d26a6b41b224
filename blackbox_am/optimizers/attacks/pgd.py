"""Projected gradient ascent in a ball, where gradients exist."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch

from blackbox_am.core.rng import Stream
from blackbox_am.core.space import Space
from blackbox_am.optimizers._parameters import at_least, positive, share
from blackbox_am.optimizers._slopes import even
from blackbox_am.optimizers.attacks import _steps
from blackbox_am.optimizers.attacks._ascents import Ascents
from blackbox_am.optimizers.attacks._ball import changes_of
from blackbox_am.optimizers.attacks._gradients import needed

LINF_STEP = 0.25
"""2/255 in a ball of 8/255, as is usual for CIFAR-10."""
L2_STEP = 2.5
"""Length of all steps of an ascent in the Euclidean ball together, in radii."""


@dataclass
class PgdState:
    """State of P ascents for each of K targets.

    Attributes:
        target: (K,) int64, the position of each target in the study.
        change: (K, P, D) where each ascent stands, in units of the ball.
        momentum: (K, P, D) sum of the gradients so far, each with mean magnitude 1.
        steps: (K, P) int64, steps of this ascent so far.
        begun: (K, P) bool, whether an ascent has a point; the others begin at a random point.
    """

    target: torch.Tensor
    change: torch.Tensor
    momentum: torch.Tensor
    steps: torch.Tensor
    begun: torch.Tensor


@dataclass(frozen=True)
class Pgd(Ascents[PgdState]):
    """Projected gradient ascent (PGD): steps of fixed length in the direction of the gradient, each
    followed by a projection into the ball and into the range of the input.

    Source: A. Madry, A. Makelov, L. Schmidt, D. Tsipras and A. Vladu, "Towards deep learning models
    resistant to adversarial attacks" (ICLR 2018), section 2.1: the signs of the gradient in the
    ball `linf`, the gradient divided by its norm in the ball `l2`. With `momentum` the gradients
    are summed before their direction is taken: Y. Dong et al., "Boosting adversarial attacks with
    momentum" (CVPR 2018), Algorithm 1, whose changes of one model more often fool another.

    This implementation differs in three things. The loss is the study's objective, for example
    `cross_entropy`, `margin` or `dlr`. A gradient of momentum is divided by its mean magnitude, not
    by the sum of its magnitudes, which changes no direction. After `steps` steps an ascent begins
    again at another random point, until the budget is spent or the target has succeeded.

    The space is a box around the input: `perturbation` with ``squash = false`` and the same ball.
    With `bits`, the model sees the rounded input, and the gradient passes the rounding unchanged.
    Every row costs one forward and one backward pass.

    Attributes:
        norm: the ball: `linf` or `l2`.
        step: the length of a step, in radii of the ball. None: .25 for `linf`, 2.5 divided by
            `steps` for `l2`.
        steps: steps of an ascent; it measures one point more than it makes steps.
        population: ascents side by side for each target, each a row of a generation.
        random_start: whether the first ascents begin at a random point, or at the input itself.
        momentum: mu, the weight of the earlier gradients in the sum, in [0, 1].
    """

    name: ClassVar[str] = "pgd"
    state_type: ClassVar[type[PgdState]] = PgdState

    norm: Literal["linf", "l2"] = "linf"
    step: float | None = None
    steps: int = 40
    population: int = 1
    random_start: bool = True
    momentum: float = 0.0

    def __post_init__(self) -> None:
        positive(step=self.step)
        at_least(1, "a point is measured after a step", steps=self.steps)
        at_least(1, "each is an ascent", population=self.population)
        share(momentum=self.momentum)

    def init(self, space: Space, targets: int, stream: Stream) -> PgdState:
        rows = (targets, self.population)
        nothing = torch.zeros(*rows, space.dim, dtype=stream.dtype, device=stream.device)
        return PgdState(
            target=torch.arange(targets, device=stream.device),
            change=nothing,
            momentum=nothing.clone(),
            steps=torch.zeros(rows, dtype=torch.int64, device=stream.device),
            begun=torch.full(rows, not self.random_start, device=stream.device),
        )

    def tell(
        self,
        space: Space,
        state: PgdState,
        latents: torch.Tensor,
        scores: torch.Tensor,
        gradients: torch.Tensor | None = None,
    ) -> PgdState:
        slopes, moves = needed(self.name, space, scores, gradients)
        change = torch.where(state.begun.unsqueeze(-1), state.change, changes_of(space, latents))
        momentum = state.momentum
        if self.momentum:
            momentum = self.momentum * momentum + even(slopes)
            slopes = momentum
        length = self.step or (LINF_STEP if self.norm == "linf" else L2_STEP / self.steps)
        ahead = change + length * _steps.direction(slopes, self.norm)
        goes_on = moves & (state.steps < self.steps)
        return PgdState(
            target=state.target,
            change=_steps.within(ahead, self.norm, self.limits_at(space, state)),
            momentum=torch.where(goes_on.unsqueeze(-1), momentum, 0.0),
            steps=torch.where(goes_on, state.steps + 1, 0),
            begun=goes_on,
        )
