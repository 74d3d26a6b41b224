"""RayS: a search for the signs of the shortest ray to another label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from blackbox_am.core.optimizer import Proposal, Role
from blackbox_am.core.rng import Stream
from blackbox_am.core.space import Space
from blackbox_am.optimizers._parameters import positive
from blackbox_am.optimizers.attacks import _squares
from blackbox_am.optimizers.attacks._ball import (
    InBall,
    changes_of,
    image_of,
    latents_of,
    step_of,
    uncut,
)

GALLOP = 0.25
"""Share of the bracket by which a search of a radius steps down. New signs shorten a ray little,
so that its radius is likely to be near the upper end; the radius of the first ray is halved."""


@dataclass
class RaysState:
    """State of K attacks.

    Attributes:
        target: (K,) int64, the position of each target in the study.
        ray: (K, D) the shortest ray so far: its change at radius 1, in units of the ball.
        radius: (K,) float64, the least radius at which it fools the model, up to the tolerance.
        low, high: (K,) float64, the bracket while a radius is searched.
        searching: (K,) bool, whether a radius is searched.
        known: (K,) bool, whether a ray that fools the model was found.
        block: (K,) int64, the number of the block whose flip is tested; -1 for the first ray.
    """

    target: torch.Tensor
    ray: torch.Tensor
    radius: torch.Tensor
    low: torch.Tensor
    high: torch.Tensor
    searching: torch.Tensor
    known: torch.Tensor
    block: torch.Tensor


@dataclass(frozen=True)
class Rays(InBall[RaysState]):
    """RayS: an attack that knows only whether the model is fooled (a score above 0), for the
    L-infinity norm; one query a generation.

    Source: J. Chen and Q. Gu, "RayS: a ray searching method for hard-label adversarial attack"
    (KDD 2020), Algorithms 1 to 3. A ray changes every value by its radius times a sign. The search
    flips the signs of one block of the input after the other: the whole input, halves, quarters and
    so on to single values, then all again. A flip is tested at the radius of the shortest ray so
    far. If it fools the model, it is kept and its radius is searched.

    This implementation differs in four things. The first signs are vertical stripes of random
    signs, as of the square attack, in place of ones; on a ResNet-20 of CIFAR-10 the median number
    of queries is a twelfth. They are drawn again until they fool the model at radius 1. A radius is
    searched from above, because flips shorten a ray little. Where stimuli have values of whole
    steps, radii are whole steps too.

    The space is a box around the input: `perturbation` with ``ball = "linf"``, ``radius = 1`` and
    ``squash = false``, so that every stimulus can be reached. The start of a study, such as an
    image of the target class of a targeted attack, is the first ray: at a radius every value
    changes by at most the radius towards the start.

    Attributes:
        tolerance: to which a radius is searched, in units of the ball.
    """

    name: ClassVar[str] = "rays"
    state_type: ClassVar[type[RaysState]] = RaysState
    rank_based: ClassVar[bool] = False  # a score above 0 fools the model

    tolerance: float = 1e-3

    def __post_init__(self) -> None:
        positive(tolerance=self.tolerance)

    def population_size(self, space: Space) -> int:
        del space
        return 1

    def init(self, space: Space, targets: int, stream: Stream) -> RaysState:
        ones = torch.ones(targets, dtype=torch.float64, device=stream.device)
        never = torch.zeros(targets, dtype=torch.bool, device=stream.device)
        return RaysState(
            target=torch.arange(targets, device=stream.device),
            ray=_squares.stripes(image_of(space), stream).flatten(1),
            radius=ones,
            low=torch.zeros_like(ones),
            high=ones.clone(),
            searching=never,
            known=never.clone(),
            block=torch.full((targets,), -1, dtype=torch.int64, device=stream.device),
        )

    def ask(self, space: Space, state: RaysState, stream: Stream) -> Proposal:
        stripes = _squares.stripes(image_of(space), stream).flatten(1)
        ray = torch.where(state.known[:, None], self._trial(state), stripes)
        radius = self._asked(state).to(ray)[:, None]
        low, high = self.limits(space, state.target, ray)
        change = torch.minimum(torch.maximum(ray, -radius), radius).clamp(low, high)
        roles = torch.where(state.searching, int(Role.CHECK), int(Role.LOSS))
        roles = torch.where(state.known, roles, int(Role.INITIALISATION)).to(torch.uint8)
        return Proposal(latents_of(space, change).unsqueeze(1), None, roles[:, None])

    def tell(
        self,
        space: Space,
        state: RaysState,
        latents: torch.Tensor,
        scores: torch.Tensor,
        gradients: torch.Tensor | None = None,
    ) -> RaysState:
        del gradients
        told, asked = scores[:, 0], self._asked(state)
        fooled, missed = told > 0, told <= 0  # a failed row is neither
        found = fooled & ~state.searching
        change = changes_of(space, latents[:, 0])
        first = uncut(change, *self.limits(space, state.target, change))
        trial = torch.where(state.known[:, None], self._trial(state), first)
        high = torch.where(fooled, asked, state.high)
        low = torch.where(missed, asked, state.low)
        low = torch.where(state.searching, low, 0.0)
        searching = found | state.searching
        tolerance = max(self.tolerance, 1.001 * step_of(self._generator))
        ended = searching & (high - low <= tolerance) & ~told.isnan()
        known = state.known | found
        finished = ended | (known & ~searching & missed)
        return RaysState(
            target=state.target,
            ray=torch.where(found[:, None], trial, state.ray),
            radius=torch.where(ended, high, state.radius),
            low=low,
            high=high,
            searching=searching & ~ended,
            known=known,
            block=state.block + finished,
        )

    def _asked(self, state: RaysState) -> torch.Tensor:
        """(K,) float64: the radius to measure."""
        part = torch.where(state.block < 0, 0.5, GALLOP)
        inside = state.high + (state.low - state.high) * part
        step = step_of(self._generator)
        if step:
            lowest, highest = (state.low / step).round() + 1, (state.high / step).round() - 1
            inside = torch.minimum(torch.maximum((inside / step).round(), lowest), highest) * step
        return torch.where(state.searching, inside, state.radius)

    def _trial(self, state: RaysState) -> torch.Tensor:
        """(K, D): the ray with the signs of the block flipped; the ray itself while its radius is
        searched.
        """
        dimension = state.ray.shape[1]
        # Level l has the blocks from 2^l, so the exponent of a number is its level. The last level
        # has one block for each value.
        blocks = 2 ** (dimension - 1).bit_length() - 1 + dimension
        number = state.block.clamp(min=0) % blocks + 1
        level = torch.frexp(number.to(torch.float64)).exponent.to(torch.int64) - 1
        count = (2**level).clamp(max=dimension)
        place = torch.arange(dimension, device=number.device) * count[:, None] // dimension
        flipped = (place == (number - 2**level)[:, None]) & ~state.searching[:, None]
        return torch.where(flipped, -state.ray, state.ray)
