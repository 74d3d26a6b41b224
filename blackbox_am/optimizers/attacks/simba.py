"""SimBA: steps along orthogonal directions, one after the other."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch

from blackbox_am.core.rng import Stream
from blackbox_am.core.space import Space
from blackbox_am.optimizers._incumbents import comparable
from blackbox_am.optimizers._parameters import at_least, positive
from blackbox_am.optimizers._targetwise import norms
from blackbox_am.optimizers.attacks._ball import InBall, changes_of, image_of, latents_of

SMALL = 64
"""Inputs of up to so many pixels in each direction begin with all frequencies."""


@dataclass
class SimbaState:
    """State of K attacks.

    Attributes:
        target: (K,) int64, the position of each target in the study.
        change: (K, D) the best change so far, in units of the ball. For ``linf`` it is the sum of
            the accepted steps, which may lie outside the ball.
        score: (K,) float64, its score.
        known: (K,) bool, whether there is a score.
        order: (K, D) int64, the directions in the order of their use.
        step: (K,) int64, the number of directions that were tried.
        opposite: (K,) bool, whether the next step is the second one along its direction.
    """

    target: torch.Tensor
    change: torch.Tensor
    score: torch.Tensor
    known: torch.Tensor
    order: torch.Tensor
    step: torch.Tensor
    opposite: torch.Tensor


@dataclass(frozen=True)
class Simba(InBall[SimbaState]):
    """SimBA: one query a generation, for a step along one direction of an orthogonal basis. The
    step is kept if the score rises; otherwise the next query is for the opposite step.

    Source: C. Guo, J. R. Gardner, Y. You, A. G. Wilson and K. Q. Weinberger, "Simple black-box
    adversarial attacks" (ICML 2019), Algorithm 1, with the values of the input (`pixels`) or the
    waves of the discrete cosine transform of each channel (`dct`) as directions. Directions are
    drawn without replacement; when all were tried, the first is next. The waves of the lowest
    `block` x `block` frequencies come first in random order, then bands of `stride` frequencies.

    The paper has no ball. This implementation keeps the ball in two ways. ``l2``: after each step
    the change is shortened to the radius if it is longer; a step has the length `step`. ``linf``:
    the steps add up without a limit, and the limits of the ball cut off their sum for each query,
    so that most values change by the whole radius; a step changes one value at least by `step`.

    The paper begins with 28 x 28 frequencies of 224 x 224. Small images are fooled sooner by high
    frequencies too: measured with a ResNet-20 on CIFAR-10 (L-inf 8/255, budget 300), the median
    is 20 queries if all 32 x 32 frequencies come first and 72 with 16 x 16 (20 images, step 2), and
    250 or more with 8 x 8 and with 4 x 4 (14 images, step 1).

    An input without height and width, such as a series or a row of a table, is one line.

    The space is a box around the input: `perturbation` with ``squash = false`` and the same ball.

    Attributes:
        norm: the ball: `linf` or `l2`.
        basis: the directions: `dct` or `pixels`.
        step: size of a step, as a share of the radius. None is 1 for `linf` and 0.3 for `l2`.
        block: frequencies in each direction that come first. None is all up to 64 pixels, and an
            eighth above, as in the paper.
        stride: frequencies of the next bands. None is a quarter of the block, as in the paper.
    """

    name: ClassVar[str] = "simba"
    state_type: ClassVar[type[SimbaState]] = SimbaState
    begins_apart: ClassVar[bool] = True

    norm: Literal["linf", "l2"] = "linf"
    basis: Literal["dct", "pixels"] = "dct"
    step: float | None = None
    block: int | None = None
    stride: int | None = None

    def __post_init__(self) -> None:
        positive(step=self.step)
        at_least(1, "it is a number of frequencies", block=self.block, stride=self.stride)

    def population_size(self, space: Space) -> int:
        del space
        return 1

    def init(self, space: Space, targets: int, stream: Stream) -> SimbaState:
        place = stream.uniform(space.dim)
        band = self._band(space, place.device)
        order = (place.to(torch.float64) + band).argsort(dim=1, stable=True)
        return SimbaState(
            target=torch.arange(targets, device=stream.device),
            change=torch.zeros_like(place),
            score=torch.zeros(targets, dtype=torch.float64, device=stream.device),
            known=torch.zeros(targets, dtype=torch.bool, device=stream.device),
            order=order,
            step=torch.zeros(targets, dtype=torch.int64, device=stream.device),
            opposite=torch.zeros(targets, dtype=torch.bool, device=stream.device),
        )

    def started_at(self, space: Space, state: SimbaState, latents: torch.Tensor) -> SimbaState:
        return replace(state, change=changes_of(space, latents).to(state.change.dtype))

    def ask(self, space: Space, state: SimbaState, stream: Stream) -> torch.Tensor:
        del stream
        low, high = self.limits(space, state.target, state.change)
        return latents_of(space, self._proposed(space, state).clamp(low, high)).unsqueeze(1)

    def tell(
        self,
        space: Space,
        state: SimbaState,
        latents: torch.Tensor,
        scores: torch.Tensor,
        gradients: torch.Tensor | None = None,
    ) -> SimbaState:
        del latents, gradients
        told = scores[:, 0]
        # An equal score is no success: a step that the range of the input cuts off changes nothing,
        # and the opposite step may be better.
        better = ~told.isnan() & (~state.known | (comparable(told) > state.score))
        done = state.known & (better | state.opposite)
        return SimbaState(
            target=state.target,
            change=torch.where(better[:, None], self._proposed(space, state), state.change),
            score=torch.where(better, comparable(told), state.score),
            known=state.known | better,
            order=state.order,
            step=state.step + done,
            opposite=state.known & ~done,
        )

    def _proposed(self, space: Space, state: SimbaState) -> torch.Tensor:
        """(K, D) the next change, before the limits of the input are applied."""
        index = state.order.gather(1, (state.step % space.dim)[:, None])[:, 0]
        size = self.step if self.step is not None else (1.0 if self.norm == "linf" else 0.3)
        step = self._direction(space, index, state.change) * size
        moved = state.change + torch.where(state.opposite[:, None], step, -step)
        if self.norm == "l2":
            moved = moved / norms(moved).unsqueeze(-1).clamp(min=1)
        # The input, or the start, is measured before a step is made.
        return torch.where(state.known[:, None], moved, state.change)

    def _direction(self, space: Space, index: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        """(K, D): the directions of numbers `index` (K,): norm 1, for `linf` largest value 1."""
        if self.basis == "pixels":
            return torch.zeros_like(like).scatter(1, index[:, None], 1.0)
        channels, height, width = image_of(space)
        channel, row, column = index // (height * width), index // width % height, index % width
        vertical, horizontal = _wave(height, row), _wave(width, column)
        if self.norm == "linf":
            vertical = vertical / vertical.abs().amax(1, keepdim=True)
            horizontal = horizontal / horizontal.abs().amax(1, keepdim=True)
        wave = vertical[:, None, :, None] * horizontal[:, None, None, :]
        mine = torch.arange(channels, device=index.device)[None] == channel[:, None]
        return (wave * mine[:, :, None, None]).flatten(1).to(like)

    def _band(self, space: Space, device: torch.device) -> torch.Tensor:
        """(D,) int64: the band of each direction, from 0; all are 0 for pixels."""
        channels, height, width = image_of(space)
        if self.basis == "pixels":
            return torch.zeros(space.dim, dtype=torch.int64, device=device)
        side = max(height, width)
        block = self.block or (side if side <= SMALL else side // 8)
        stride = self.stride or max(block // 4, 1)
        rows = torch.arange(height, device=device)[:, None]
        columns = torch.arange(width, device=device)[None]
        band = (torch.maximum(rows, columns) - block) // stride + 1
        return band.clamp(min=0).expand(channels, -1, -1).flatten()


def _wave(length: int, frequency: torch.Tensor) -> torch.Tensor:
    """(K, length) float64 of norm 1: waves of these frequencies (K,) of the DCT-II."""
    places = torch.arange(length, dtype=torch.float64, device=frequency.device) + 0.5
    wave = torch.cos(places * (math.pi / length) * frequency[:, None])
    scale = torch.where(frequency == 0, (1 / length) ** 0.5, (2 / length) ** 0.5)
    return wave * scale[:, None]
