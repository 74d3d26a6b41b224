"""NES: ascent along a gradient that is estimated from pairs of opposite steps."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch

from blackbox_am.core.optimizer import Proposal, Role
from blackbox_am.core.rng import Stream
from blackbox_am.core.space import Space
from blackbox_am.optimizers._incumbents import comparable
from blackbox_am.optimizers._parameters import at_least, positive, share
from blackbox_am.optimizers._targetwise import norms, weighted_sum
from blackbox_am.optimizers.attacks._ball import InBall, changes_of, image_of, latents_of

PATIENCE = 5
"""Iterations without a rise of the score after which the rate halves."""
LEAST = 1 / 160
"""The least rate, as a share of the first."""


@dataclass
class NesState:
    """State of K attacks.

    Attributes:
        target: (K,) int64, the position of each target in the study.
        change: (K, D) the change about which the next pairs lie, in units of the ball.
        momentum: (K, D) the mean of the estimated gradients, later ones with more weight.
        rate: (K,) float64, the size of a step.
        score: (K,) float64, the best score of a change so far.
        known: (K,) bool, whether there is such a score.
        waiting: (K,) int64, iterations since the score rose.
        moved: (K,) bool, whether the change has moved from the input or the start.
    """

    target: torch.Tensor
    change: torch.Tensor
    momentum: torch.Tensor
    rate: torch.Tensor
    score: torch.Tensor
    known: torch.Tensor
    waiting: torch.Tensor
    moved: torch.Tensor


@dataclass(frozen=True)
class Nes(InBall[NesState]):
    """NES: each generation measures the change and `pairs` pairs of opposite Gaussian steps from
    it, estimates the gradient of the score, and makes a step along its sign (``linf``) or along it
    (``l2``).

    Source: A. Ilyas, L. Engstrom, A. Athalye and J. Lin, "Black-box adversarial attacks with
    limited queries and information" (ICML 2018), section 2.1: the gradient at x is estimated as the
    mean of (f(x + s u) - f(x - s u)) u / (2 s) for Gaussian u. As in the authors' program the
    gradient has a momentum, and the rate halves when the score has not risen for 5 iterations.

    This implementation differs in four things. Lengths are shares of the radius, so that they fit
    every ball. Each estimated gradient is scaled to norm 1, so that its weight in the momentum does
    not depend on the size of the scores. Each u may be equal on blocks of `tile` x `tile` pixels.
    The unchanged input is not measured. The defaults are for small images: measured with a
    ResNet-20 on 20 images of CIFAR-10 (L-inf 8/255), the median is 34 queries, 62 with 15 pairs,
    and 84 with 15 pairs and a rate of .25.

    The space is a box around the input: `perturbation` with ``squash = false`` and the same ball.

    Attributes:
        norm: the ball: `linf` or `l2`.
        pairs: pairs of rows in a generation.
        sigma: standard deviation of the steps to the rows of a pair, as a share of the radius for
            `linf`, and of the radius over the square root of D for `l2`.
        rate: size of the first step, as a share of the radius.
        momentum: weight of the earlier gradients.
        tile: side of the blocks, in pixels.
    """

    name: ClassVar[str] = "nes"
    copies: ClassVar[int] = 8
    rank_based: ClassVar[bool] = False
    exchangeable: ClassVar[bool] = False
    state_type: ClassVar[type[NesState]] = NesState

    norm: Literal["linf", "l2"] = "linf"
    pairs: int = 8
    sigma: float = 0.32
    rate: float = 0.5
    momentum: float = 0.9
    tile: int = 1

    def __post_init__(self) -> None:
        at_least(1, "a gradient needs a difference", pairs=self.pairs)
        at_least(1, "it is a number of pixels", tile=self.tile)
        positive(sigma=self.sigma, rate=self.rate)
        share(momentum=self.momentum)

    def population_size(self, space: Space) -> int:
        del space
        return 1 + 2 * self.pairs

    def init(self, space: Space, targets: int, stream: Stream) -> NesState:
        zeros = torch.zeros(targets, space.dim, dtype=stream.dtype, device=stream.device)
        number = torch.zeros(targets, dtype=torch.float64, device=stream.device)
        return NesState(
            target=torch.arange(targets, device=stream.device),
            change=zeros,
            momentum=zeros.clone(),
            rate=number + self.rate,
            score=number.clone(),
            known=number > 0,
            waiting=number.to(torch.int64),
            moved=number > 0,
        )

    def started_at(self, space: Space, state: NesState, latents: torch.Tensor) -> NesState:
        return replace(state, change=changes_of(space, latents).to(state.change.dtype))

    def ask(self, space: Space, state: NesState, stream: Stream) -> Proposal:
        steps = self._steps(space, stream) * self._sigma(space)
        change = state.change.unsqueeze(1)
        rows = torch.cat([change, change + steps, change - steps], dim=1)
        wanted = torch.ones(rows.shape[:2], dtype=torch.bool, device=rows.device)
        wanted[:, 0] = state.moved
        roles = torch.zeros_like(wanted, dtype=torch.uint8)
        roles[:, 0] = Role.CHECK
        return Proposal(latents_of(space, rows), wanted, roles)

    def tell(
        self,
        space: Space,
        state: NesState,
        latents: torch.Tensor,
        scores: torch.Tensor,
        gradients: torch.Tensor | None = None,
    ) -> NesState:
        del gradients
        gradient = self._gradient(changes_of(space, latents[:, 1:]), scores[:, 1:])
        momentum = self.momentum * state.momentum + (1 - self.momentum) * gradient
        told = scores[:, 0]
        here = ~told.isnan()
        better = here & (~state.known | (comparable(told) > state.score))
        waiting = torch.where(better, 0, state.waiting + (here & state.known))
        halve = waiting >= PATIENCE
        rate = torch.where(halve, (state.rate / 2).clamp(min=self.rate * LEAST), state.rate)
        return NesState(
            target=state.target,
            change=self._moved(space, state, momentum, rate),
            momentum=momentum,
            rate=rate,
            score=torch.where(better, comparable(told), state.score),
            known=state.known | better,
            waiting=torch.where(halve, 0, waiting),
            moved=torch.ones_like(state.moved),
        )

    def _gradient(self, rows: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """(K, D) of norm 1: the estimate from rows (K, 2 pairs, D), all first ones of a pair and
        then all second ones, and their scores (K, 2 pairs); 0 if it is unknown.
        """
        up, down = scores.chunk(2, dim=1)
        paired = ~(up.isnan() | down.isnan())
        difference = torch.where(paired, comparable(up) / 2 - comparable(down) / 2, 0.0)
        largest = difference.abs().amax(1, keepdim=True)
        weights = difference / largest.clamp(min=torch.finfo(torch.float64).tiny)
        ahead, behind = rows.chunk(2, dim=1)
        gradient = weighted_sum(weights.to(rows.dtype), ahead - behind)
        return gradient / norms(gradient).unsqueeze(-1).clamp(min=1e-20)

    def _moved(
        self, space: Space, state: NesState, momentum: torch.Tensor, rate: torch.Tensor
    ) -> torch.Tensor:
        """(K, D): the change after a step, inside the ball and the range of the input."""
        size = rate.to(momentum.dtype).unsqueeze(-1)
        if self.norm == "linf":
            change = state.change + size * momentum.sign()
        else:
            step = momentum / norms(momentum).unsqueeze(-1).clamp(min=1e-20)
            change = state.change + size * step
            change = change / norms(change).unsqueeze(-1).clamp(min=1)
        low, high = self.limits(space, state.target, change)
        return change.clamp(low, high)

    def _sigma(self, space: Space) -> float:
        return self.sigma if self.norm == "linf" else self.sigma * space.dim**-0.5

    def _steps(self, space: Space, stream: Stream) -> torch.Tensor:
        """(K, pairs, D) standard normal numbers, equal on each block."""
        channels, height, width = image_of(space)
        rows, columns = -(-height // self.tile), -(-width // self.tile)
        steps = stream.normal(self.pairs, channels, rows, columns)
        if self.tile > 1:
            steps = steps.repeat_interleave(self.tile, -1)[..., :width]
            steps = steps.repeat_interleave(self.tile, -2)[..., :height, :]
        return steps.flatten(2)
