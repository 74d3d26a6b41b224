"""Restarts of a strategy that has converged, with growing populations."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch

from blackbox_am.core.rng import Stream
from blackbox_am.core.space import Space
from blackbox_am.optimizers._frame import frame_of
from blackbox_am.optimizers._incumbents import best_row
from blackbox_am.optimizers._parameters import at_least, positive
from blackbox_am.optimizers.choosing._gathering import Gathering, GatheringState

FLAT = 3
"""Generations in a row that scored the same in every row, after which a run is over."""
GLANCE = 64
"""Coordinates that are compared before the others are."""
GOLDEN, SILVER = (math.sqrt(5) - 1) / 2, math.sqrt(2) - 1
"""Multiples of these numbers, modulo 1, are spread evenly and are used in place of random numbers.
"""


@dataclass
class RestartsState(GatheringState):
    """State of K searches; see `GatheringState` for the other fields.

    Attributes:
        fresh: (K,) bool: whether the next ask starts a new run with samples of the prior.
        runs: (K,) int64, runs that have ended.
        best: (K,) float64, the run's best score; undefined where `known` is False.
        known: (K,) bool: whether any score of this run has come back.
        stale: (K,) int64, generations since the run's best score was beaten.
        flat: (K,) int64, generations in a row without any difference between scores.
        large: (K,) int64, asks of a generation in the regime of large populations.
        small: (K,) bool: whether this run is of the regime of small populations.
        spent: (K, 2) int64, asks of the large and of the small regime.
    """

    fresh: torch.Tensor
    runs: torch.Tensor
    best: torch.Tensor
    known: torch.Tensor
    stale: torch.Tensor
    flat: torch.Tensor
    large: torch.Tensor
    small: torch.Tensor
    spent: torch.Tensor


@dataclass(frozen=True)
class Restarts(Gathering[RestartsState]):
    """Runs a strategy again from another place whenever a run has ended, with growing populations:
    for landscapes with many local maxima, and for budgets that are longer than one run.

    Sources: A. Auger and N. Hansen, "A Restart CMA Evolution Strategy with Increasing
    Population Size" (CEC 2005) for `ipop`, which doubles the population at each restart;
    N. Hansen, "Benchmarking a BI-Population CMA-ES on the BBOB-2009 Function Testbed" (GECCO
    2009 workshop) for `bipop`, which spends as much again on small populations with small
    first steps. A run ends when

    - all rows of a generation lie within `tolerance` of each other in every coordinate, or
    - three generations in a row scored the same in every row, or
    - the run's best score was not beaten for `patience` generations.

    This implementation differs in four things. A population of m P rows is gathered over m asks,
    and grows no further than `growth` times P. A run starts at the best of P samples of the prior,
    which are measured and paid for like any rows. Where `bipop` draws random numbers, evenly spread
    ones are taken. There is no test of the condition of the covariance: the strategies themselves
    keep it within what the floating-point format can follow.

    Until the first restart, the results are bit-identical to those of the strategy inside.

    Attributes:
        scheme: `ipop` or `bipop`.
        tolerance: in standard deviations of the prior.
        patience: generations; if None, 120 + 30 D / population, the population being that
            of the run. In hundreds of dimensions that is more than most budgets.
    """

    name: ClassVar[str] = "restarts"
    state_type: ClassVar[type[RestartsState]] = RestartsState

    scheme: Literal["ipop", "bipop"] = "ipop"
    tolerance: float = 1e-5
    patience: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        positive(tolerance=self.tolerance)
        at_least(1, "it counts generations", patience=self.patience)

    def init(self, space: Space, targets: int, stream: Stream) -> RestartsState:
        def count(*shape: int) -> torch.Tensor:
            return torch.zeros(targets, *shape, dtype=torch.int64, device=stream.device)

        return RestartsState(
            **self.begin(space, targets, stream),
            fresh=count().bool(),
            runs=count(),
            best=count().double(),
            known=count().bool(),
            stale=count(),
            flat=count(),
            large=count() + 1,
            small=count().bool(),
            spent=count(2),
        )

    def ask(self, space: Space, state: RestartsState, stream: Stream) -> torch.Tensor:
        points = super().ask(space, state, stream)
        # Drawn last, so that the draws of one target do not depend on the other targets.
        if bool(state.fresh.any()):
            sample = space.sample(stream, points.shape[1])
            points = torch.where(state.fresh.view(-1, 1, 1), sample, points)
        return points

    def tell(
        self,
        space: Space,
        state: RestartsState,
        latents: torch.Tensor,
        scores: torch.Tensor,
        gradients: torch.Tensor | None = None,
    ) -> RestartsState:
        regime = torch.stack([~state.small, state.small], dim=-1)
        state.spent += regime.to(torch.int64)
        return super().tell(space, state, latents, scores, gradients)

    def teaches(self, state: RestartsState) -> torch.Tensor:
        return ~state.fresh

    def learnt(self, space: Space, state: RestartsState, closed: torch.Tensor) -> None:
        self._start(space, state)
        ended = closed & self._ended(space, state, closed)
        if bool(ended.any()):
            self._plan(state, ended)

    def _start(self, space: Space, state: RestartsState) -> None:
        """Begins the run of targets whose samples of the prior have just been measured."""
        who = (state.fresh & state.present.any(-1)).nonzero()[:, 0]
        if len(who) == 0:
            return
        best = best_row(state.latents[who], state.scores[who], state.present[who])
        evenly = (SILVER * state.runs[who].double()) % 1.0
        scale = torch.where(state.small[who], 10 ** (-2 * evenly), 1.0)
        self.anew(space, state, who, best, scale)
        state.fresh[who] = False

    def _ended(self, space: Space, state: RestartsState, closed: torch.Tensor) -> torch.Tensor:
        """(K,) bool: runs that are over. Counts the generations that are `closed`."""
        there = state.present
        inf = torch.inf
        top = torch.where(there, state.scores, -inf).amax(-1)
        bottom = torch.where(there, state.scores, inf).amin(-1)
        came = closed & there.any(-1)
        beaten = came & (~state.known | (top > state.best))
        level = came & (there.sum(-1) > 1) & (top == bottom)
        state.best = torch.where(beaten, top, state.best)
        state.known |= came
        state.stale = torch.where(beaten, 0, state.stale + closed.to(torch.int64))
        state.flat = torch.where(level, state.flat + 1, torch.where(came, 0, state.flat))

        rows = state.wanted * self.population_size(space)
        usual = 120 + (30 * space.dim) // rows
        patience = usual if self.patience is None else torch.full_like(usual, self.patience)
        return self._met(space, state, came) | (state.flat >= FLAT) | (state.stale >= patience)

    def _met(self, space: Space, state: RestartsState, came: torch.Tensor) -> torch.Tensor:
        """(K,) bool: generations of two or more rows that all lie within the tolerance of each
        other.
        """
        rows = int(state.wanted.amax()) * self.population_size(space)
        present = state.present[:, :rows]
        met = came & (present.sum(-1) > 1)
        # Most rows differ within the first few coordinates already.
        for part in (slice(GLANCE), slice(GLANCE, None)):
            if not bool(met.any()):
                break
            latents, there = state.latents[:, :rows, part], present.unsqueeze(-1)
            highest = torch.where(there, latents, -torch.inf).amax(1)
            lowest = torch.where(there, latents, torch.inf).amin(1)
            limit = self.tolerance * frame_of(space, latents).scale[part]
            met = met & (highest - lowest < limit).all(-1)
        return met

    def _plan(self, state: RestartsState, ended: torch.Tensor) -> None:
        """Chooses the size of the next run of targets whose run has `ended`."""
        state.runs += ended.to(torch.int64)
        small = torch.zeros_like(ended)
        if self.scheme == "bipop":
            small = state.spent[:, 1] < state.spent[:, 0]
        grown = (2 * state.large).clamp(max=self.growth)
        state.large = torch.where(ended & ~small, grown, state.large)
        evenly = (GOLDEN * state.runs.double()) % 1.0
        part = (state.large.double() / 2).clamp(min=1).pow(evenly.square())
        wanted = torch.where(small, part.floor().to(torch.int64), state.large)
        state.wanted = torch.where(ended, wanted, state.wanted)
        state.small = torch.where(ended, small, state.small)
        state.fresh |= ended
        state.known &= ~ended
        state.stale = torch.where(ended, 0, state.stale)
        state.flat = torch.where(ended, 0, state.flat)
