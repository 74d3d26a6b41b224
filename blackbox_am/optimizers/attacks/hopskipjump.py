"""HopSkipJump: estimates of the gradient at the boundary between two labels."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

import torch

from blackbox_am.core import blocks
from blackbox_am.core.optimizer import (
    MAX_GENERATION_BYTES,
    Optimizer,
    Proposal,
    Role,
    SearchContext,
)
from blackbox_am.core.rng import Stream
from blackbox_am.core.space import Space
from blackbox_am.optimizers._incumbents import rows_at
from blackbox_am.optimizers._parameters import at_least, positive
from blackbox_am.optimizers._targetwise import norms, possible, weighted_sum
from blackbox_am.optimizers.attacks import _squares
from blackbox_am.optimizers.attacks._ball import InBall, changes_of, image_of, latents_of, step_of
from blackbox_am.optimizers.attacks._boundary import Norm, between, length, probes, rounded

START, NARROW, PROBE, JUMP = range(4)
"""The phases of a target: it looks for any change that fools the model, for the boundary between
this change and the input, for the direction across the boundary, and for a step in it."""
BLOCK = 32
"""Probes that are drawn at once."""
GROUP = 4
"""Targets whose probes are drawn at once on the CPU."""
ATTEMPTS = 2
"""Generations of jumps that miss before more probes are asked."""


@dataclass
class HopSkipJumpState:
    """State of K attacks.

    Attributes:
        target: (K,) int64, the position of each target in the study.
        phase: (K,) int64, one of the four.
        round: (K,) int64, how often the boundary was found.
        point: (K, D) the closest change of this round that fools the model, in units of the ball.
        goal: (K, D) a change that fools the model; the boundary is searched on the way to it.
        low, high: (K,) float64, the bracket of the boundary, as parts of the way to the goal.
        left: (K,) int64, probes that are still to be measured in this round.
        towards: (K, D) sum of the probes that fool the model.
        every: (K, D) sum of all probes.
        fooled, probed: (K,) float64, how many these are.
        size: (K,) float64, the largest jump to try.
        missed: (K,) int64, generations of jumps that missed.
    """

    target: torch.Tensor
    phase: torch.Tensor
    round: torch.Tensor
    point: torch.Tensor
    goal: torch.Tensor
    low: torch.Tensor
    high: torch.Tensor
    left: torch.Tensor
    towards: torch.Tensor
    every: torch.Tensor
    fooled: torch.Tensor
    probed: torch.Tensor
    size: torch.Tensor
    missed: torch.Tensor


@dataclass(frozen=True)
class HopSkipJump(InBall[HopSkipJumpState]):
    """HopSkipJump: an attack that knows only whether the model is fooled (a score above 0).

    Source: J. Chen, M. I. Jordan and M. J. Wainwright, "HopSkipJumpAttack: a query-efficient
    decision-based attack" (IEEE S&P 2020), Algorithms 1 and 2. From a point at the boundary the
    search measures random probes; the mean of the probes that fool the model, less the mean of all
    probes, estimates the gradient (equations 9 and 16). It jumps in its direction (for `linf` in
    that of its signs) by the distance of the point, divided by the square root of the round, and by
    halves of this until the model is fooled. Then it searches the boundary between the place
    reached and the input.

    This implementation differs in five things, for fewer queries and generations:

    - The first change is a picture of vertical stripes of random signs, drawn again until it fools
      the model.
    - Probes are equal along the columns at first, since networks for images are sensitive to
      stripes, and get finer with the rounds.
    - The first estimate has fewer probes, and all probes of a generation are measured at once.
      The boundary is searched at several places a generation, to a coarse tolerance, and the jumps
      of several sizes are one generation.
    - The norm of the probes is a share of that of the point. The paper's, which falls with the
      dimension, is smaller than the error of the boundary.
    - Where stimuli have values of whole steps, all changes are whole steps, and probes are rounded
      at random (see `_boundary.probes`).

    The space is a box around the input: `perturbation` with ``ball = "linf"``, ``radius = 1`` and
    ``squash = false`` for both norms, so that every stimulus can be reached. The start of a study,
    such as an image of the target class of a targeted attack, is the first change.

    Attributes:
        norm: the distance to make small: `linf` or `l2`.
        probes: number of probes of the first estimate; estimate t has the square root of t times as
            many.
        reach: Euclidean norm of a probe, as a share of that of the point.
        least_reach: its least value, in units of the ball.
        rounds_per_scale: rounds after which the parts of a column that probes leave equal halve; 0
            for probes that are independent in every value.
        places: places of a generation that searches the boundary. Few places take more generations:
            with 16 and a tolerance of 0.1 mostly one generation finds the boundary.
        tolerance: to which part of its distance the boundary is searched.
        jumps: sizes of a jump, each half of the one before, in one generation.
        population: the most rows of a target in a generation; more probes take several generations.
            For very many targets of a study it is made smaller, so that a generation of all targets
            takes at most 512 MiB.
    """

    name: ClassVar[str] = "hopskipjump"
    state_type: ClassVar[type[HopSkipJumpState]] = HopSkipJumpState
    rank_based: ClassVar[bool] = False  # a score above 0 fools the model
    exchangeable: ClassVar[bool] = False  # rows are places in their order

    norm: Norm = "linf"
    probes: int = 75
    reach: float = 0.3
    least_reach: float = 1e-3
    rounds_per_scale: int = 1
    places: int = 16
    tolerance: float = 0.1
    jumps: int = 8
    population: int = 128

    def __post_init__(self) -> None:
        at_least(1, "an estimate needs probes", probes=self.probes)
        at_least(0, "0 is for independent values", rounds_per_scale=self.rounds_per_scale)
        at_least(1, "the boundary is searched at places", places=self.places)
        at_least(1, "a jump has a size", jumps=self.jumps)
        at_least(1, "a generation has rows", population=self.population)
        positive(reach=self.reach, least_reach=self.least_reach, tolerance=self.tolerance)
        if self.tolerance >= 1:
            raise ValueError(f"tolerance is a part of a distance, below 1; got {self.tolerance}")

    def resolve(self, space: Space, context: SearchContext) -> Optimizer[Any]:
        most = max(MAX_GENERATION_BYTES // 4 // (context.targets * space.dim), 1)
        return replace(self, population=min(self.population, most))

    def population_size(self, space: Space) -> int:
        del space
        return max(self.population, self._few)

    @property
    def _few(self) -> int:
        """Rows of the phases without probes."""
        return max(self.places, self.jumps)

    def init(self, space: Space, targets: int, stream: Stream) -> HopSkipJumpState:
        whole = torch.zeros(targets, dtype=torch.int64, device=stream.device)
        zeros = {}
        for field in fields(HopSkipJumpState):
            if field.name in ("point", "goal", "towards", "every"):
                zero = torch.zeros(targets, space.dim, dtype=stream.dtype, device=stream.device)
            elif field.name in ("low", "high", "fooled", "probed", "size"):
                zero = whole.to(torch.float64)
            else:
                zero = whole.clone()
            zeros[field.name] = zero
        state = HopSkipJumpState(**zeros)
        return replace(state, target=torch.arange(targets, device=stream.device))

    def ask(self, space: Space, state: HopSkipJumpState, stream: Stream) -> Proposal:
        limits = self.limits(space, state.target, state.point)
        low, high = (limit.expand_as(state.point)[:, None] for limit in limits)
        changes, count = self._places(space, state, stream)
        latents = latents_of(space, changes.clamp(low, high))
        probing = state.phase == PROBE
        if possible(probing):
            count = torch.where(probing, state.left, count)
            latents = self._probes(space, state, stream, latents, low, high)
        rows = torch.arange(latents.shape[1], device=count.device)
        checks = torch.where(state.phase == START, int(Role.INITIALISATION), int(Role.CHECK))
        roles = torch.where(probing, int(Role.LOSS), checks).to(torch.uint8)
        return Proposal(latents, rows < count[:, None], roles[:, None])

    def _places(
        self, space: Space, state: HopSkipJumpState, stream: Stream
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(K, few, D) changes of the phases without probes, and how many of them (K,) count."""
        phase = state.phase[:, None, None]
        stripes = _squares.stripes(image_of(space), stream).flatten(1)[:, None]
        rows = torch.arange(self._few, device=phase.device)
        narrowed = between(state.goal, self._parts(state, rows), self.norm)
        sizes = (state.size[:, None] / 2.0**rows).to(state.point)[..., None]
        jumped = state.point[:, None] + sizes * self._direction(state)[:, None]
        changes = torch.where(phase == NARROW, narrowed, jumped)
        changes = rounded(changes, step_of(self._generator))
        changes = torch.where(phase == START, stripes, changes)
        count = torch.where(state.phase == NARROW, self.places, self.jumps)
        return changes, torch.where(state.phase == START, 1, count)

    def _parts(self, state: HopSkipJumpState, rows: torch.Tensor) -> torch.Tensor:
        """(K, P) float64: the parts of the way to the goal at which rows (P,) lie."""
        share = (rows + 1).to(torch.float64) / (self.places + 1)
        return state.low[:, None] + (state.high - state.low)[:, None] * share

    def _probes(
        self,
        space: Space,
        state: HopSkipJumpState,
        stream: Stream,
        others: torch.Tensor,
        low: torch.Tensor,
        high: torch.Tensor,
    ) -> torch.Tensor:
        """(K, p, D) latents: `others` (K, few, D) of the targets that do not probe, and probes in
        blocks, as many as a target needs; on devices other than the CPU as many as the population
        allows. The first blocks do not depend on how many follow.
        """
        image, step = image_of(space), step_of(self._generator)
        reach = (self.reach * norms(state.point)).clamp(min=self.least_reach)
        if self.rounds_per_scale:
            scale = (state.round - 1).clamp(min=0) // self.rounds_per_scale
            parts = (2 ** scale.clamp(max=image[1].bit_length())).clamp(max=image[1])
        else:
            parts = torch.full_like(state.round, image[1])
        asking = [(state.phase == PROBE) & (state.left > n) for n in self._block_starts]
        asking = asking[: 1 + sum(possible(mask) for mask in asking[1:])]
        length = min(BLOCK * len(asking), self.population)
        shape = (len(others), max(length, self._few), space.dim)
        latents = blocks.empty(*shape, dtype=others.dtype, device=others.device)
        latents[:, : self._few] = others
        latents[:, self._few :] = others[:, :1]
        for start, mask in zip(self._block_starts, asking, strict=False):
            rows = min(BLOCK, self.population - start)
            # A few targets at a time, whose probes stay in the cache.
            for here in _groups(mask):
                mine = stream if len(here) == len(mask) else stream.at(here.numpy())
                drawn = probes(image, parts[here], reach[here], step, mine, rows)
                drawn = drawn.add_(state.point[here, None]).clamp_(low[here], high[here])
                place = here, slice(start, start + rows)
                probing = mask[here, None, None]
                latents[place] = torch.where(probing, latents_of(space, drawn), latents[place])
        return latents

    @property
    def _block_starts(self) -> range:
        return range(0, self.population, BLOCK)

    def _direction(self, state: HopSkipJumpState) -> torch.Tensor:
        """(K, D): the estimated gradient, as signs for `linf` and of norm 1 for `l2`.

        Without a probe that fools the model it leads away from the mean of the probes, and without
        a probe that does not, towards it.
        """
        share = state.fooled / state.probed.clamp(min=1)
        share = torch.where(state.fooled == state.probed, 0.0, share)
        share = torch.where(state.fooled == 0, 1.0, share)
        gradient = state.towards - share.to(state.every)[:, None] * state.every
        if self.norm == "linf":
            return gradient.sign()
        return gradient / norms(gradient).clamp(min=1e-20)[:, None]

    def tell(
        self,
        space: Space,
        state: HopSkipJumpState,
        latents: torch.Tensor,
        scores: torch.Tensor,
        gradients: torch.Tensor | None = None,
    ) -> HopSkipJumpState:
        del gradients
        phase = state.phase
        rows = torch.arange(scores.shape[1], device=scores.device)
        # Rows are in the order of preference: near places and large jumps first.
        first = torch.where(scores > 0, rows, len(rows)).amin(1)
        fooled = first < len(rows)
        found = rows_at(latents, first.clamp(max=len(rows) - 1)[:, None])[:, 0]
        found = changes_of(space, found)
        told = ~scores.isnan()
        if possible(phase == PROBE):
            state = self._probed(space, state, phase == PROBE, latents, scores)
        state = self._narrowed(state, phase == NARROW, first, told & (scores <= 0), told.any(1))
        missed = (phase == JUMP) & told.any(1) & ~fooled
        state = self._missed(state, missed)
        point = ((phase != PROBE) & fooled)[:, None]
        state = replace(state, point=torch.where(point, found, state.point))
        reached = ((phase == START) | (phase == JUMP)) & fooled
        state = _where(reached, state, phase=NARROW, goal=found, low=0.0, high=1.0)
        probing = (phase == NARROW) & (state.phase == PROBE)
        return self._new_estimate(state, probing)

    def _narrowed(
        self,
        state: HopSkipJumpState,
        here: torch.Tensor,
        first: torch.Tensor,
        missed: torch.Tensor,
        answered: torch.Tensor,
    ) -> HopSkipJumpState:
        """The bracket ends at the nearest place that fools the model, the row `first` (K,), and
        begins at the last of the places before it that `missed` (K, P).
        """
        rows = torch.arange(missed.shape[1], device=first.device)
        parts = self._parts(state, rows)
        below = missed & (rows < first[:, None])
        low = torch.where(below, parts, state.low[:, None]).amax(1)
        at_first = parts.gather(1, first.clamp(max=len(rows) - 1)[:, None])[:, 0]
        high = torch.where(first < len(rows), at_first, state.high)
        precision = self.tolerance * high
        if self.norm == "linf":
            step = 1.001 * step_of(self._generator)
            precision = precision.clamp(min=1e-6).maximum(step / length(state.goal, "linf"))
        ended = here & answered & (high - low <= precision.clamp(min=1e-6))
        state = _where(here, state, low=low, high=high)
        return _where(ended, state, phase=PROBE, round=state.round + 1)

    def _new_estimate(self, state: HopSkipJumpState, here: torch.Tensor) -> HopSkipJumpState:
        cleared = dict.fromkeys(("towards", "every", "fooled", "probed"), 0.0)
        return _where(here, state, left=self._count(state), **cleared)

    def _count(self, state: HopSkipJumpState) -> torch.Tensor:
        """(K,) int64: the probes of an estimate."""
        return (self.probes * state.round.to(torch.float64).sqrt()).round().to(torch.int64)

    def _probed(
        self,
        space: Space,
        state: HopSkipJumpState,
        probing: torch.Tensor,
        latents: torch.Tensor,
        scores: torch.Tensor,
    ) -> HopSkipJumpState:
        told = ~scores.isnan() & probing[:, None]
        fooling = told & (scores > 0)
        towards, every = state.towards.clone(), state.every.clone()
        for here in _groups(probing):
            seen = changes_of(space, latents[here]) - state.point[here, None]
            towards[here] += weighted_sum(fooling[here].to(seen), seen)
            every[here] += weighted_sum(told[here].to(seen), seen)
        state = replace(
            state,
            towards=towards,
            every=every,
            fooled=state.fooled + fooling.sum(1),
            probed=state.probed + told.sum(1),
            left=state.left - told.sum(1),
        )
        size = length(state.point, self.norm) / state.round.clamp(min=1).to(torch.float64).sqrt()
        return _where(probing & (state.left <= 0), state, phase=JUMP, size=size, missed=0)

    def _missed(self, state: HopSkipJumpState, here: torch.Tensor) -> HopSkipJumpState:
        """Smaller jumps; after several, more probes for the same estimate."""
        state = _where(here, state, size=state.size / 2.0**self.jumps, missed=state.missed + 1)
        again = here & (state.missed >= ATTEMPTS)
        return _where(again, state, phase=PROBE, left=self._count(state))


def _groups(mask: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Positions at which `mask` (K,) is True, in groups; all positions on devices other than the
    CPU, where reading would wait for the device.
    """
    if mask.device.type != "cpu":
        return (torch.arange(len(mask), device=mask.device),)
    return torch.split(mask.nonzero()[:, 0], GROUP)


def _where(here: torch.Tensor, state: HopSkipJumpState, **values: Any) -> HopSkipJumpState:
    """`state` with other `values` of its fields in the targets `here` (K,)."""
    changed = {}
    for name, value in values.items():
        old = getattr(state, name)
        mask = here if old.ndim == 1 else here[:, None]
        changed[name] = torch.where(mask, value, old).to(old.dtype)
    return replace(state, **changed)
