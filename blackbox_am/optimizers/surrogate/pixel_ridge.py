"""A trust-region search along the gradient of a linear readout of pixels."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import torch

from blackbox_am.core.generator import Generator
from blackbox_am.core.optimizer import Optimizer, SearchContext
from blackbox_am.core.oracle import Oracle
from blackbox_am.core.rng import Stream
from blackbox_am.core.space import Space
from blackbox_am.errors import Unsupported
from blackbox_am.optimizers._frame import frame_of
from blackbox_am.optimizers._incumbents import best_row, comparable
from blackbox_am.optimizers._parameters import at_least, memory, positive
from blackbox_am.optimizers._targetwise import weighted_sum
from blackbox_am.optimizers.evolution._ranks import log_utilities
from blackbox_am.optimizers.surrogate import _trust
from blackbox_am.optimizers.surrogate._guide import climbable
from blackbox_am.optimizers.surrogate._pixels import Pixels
from blackbox_am.optimizers.surrogate._recent import bounded, readout, remember

SAMPLED = 2
"""Generations of samples of the prior before the first path, where no start is given."""
AROUND_START = 0.3
"""Deviation of the first rows around a given start."""
PATH_ROWS, NOISY_PATH_ROWS = 3, 8
POPULATION, NOISY_POPULATION = 8, 24
ARCHIVE, NOISY_ARCHIVE = 300, 400
MANY_DIMENSIONS = 1024
STEPS, FEWER_STEPS = 6, 4
"""Steps of a path, in `MANY_DIMENSIONS` and more, and in fewer."""
MOMENTUM = 0.5
JITTER = 0.1
"""Deviation of rows that lie on the path but for this."""
SPREAD = 4.0
"""Deviation of the other rows in units of the radius over the square root of D."""


@dataclass
class PixelRidgeState:
    """State of K searches, in the frame of the space (see `_frame`). The rows of the last
    generations are described in `_recent.Recent`.

    Attributes:
        centre: (K, D) where paths begin.
        best: (K,) float64, the best score; 0 where no row came back.
        known: (K,) bool: whether any row came back.
        given: (K,) bool: whether the first centre was given.
        radius: (K,) float64, length of a path.
        readout: (K, F) float32, the direction in pixels that raises the score; 0 if unknown.
    """

    centre: torch.Tensor
    best: torch.Tensor
    known: torch.Tensor
    given: torch.Tensor
    radius: torch.Tensor
    readout: torch.Tensor
    generation: torch.Tensor
    pixels: torch.Tensor
    scores: torch.Tensor
    present: torch.Tensor
    gram: torch.Tensor
    penalty: torch.Tensor


@dataclass(frozen=True)
class PixelRidge(Optimizer[PixelRidgeState]):
    """Ridge regression of the last scores on the pixels of their stimuli, whose gradient through
    the generator gives a path; rows on the path, inside a trust region. The oracle remains a black
    box, and no other network is needed: only the generator must be differentiable.

    A generation has rows on a path from the centre, of which one lies at the middle and one at the
    end, and rows with noise around the middle. The path has 6 steps (4 below 1,024 dimensions) of
    equal length along the gradient of the fitted readout, smoothed from step to step. Pixels and
    scores are taken relative to the means of their generation, and weigh exp(-age / `decay`); the
    ridge penalty is the one with the least error on rows left out (`_dual_ridge`). Where no score
    differs, all rows have noise around the centre.

    - For exact scores the centre is the best row so far, and the length of the path, the trust
      radius, grows where the end of the path beats the best score and shrinks where no row of the
      path does (`_trust`).
    - For noisy scores, where the best row is a lucky one, the centre is the mean of a generation's
      better half, weighted as in `snes`, and the radius grows where the path's rows are better in
      the mean. `elitist` chooses; if None, the study's noise does.

    A search whose study has a start measures the start and rows close around it first. Otherwise
    two generations of samples of the prior come first. The gain is largest with a start: see
    `docs/optimizers.md` for the measurements.

    The state keeps the pixels of the last `archive` rows, 3.7 MB a target for 3 x 32 x 32. In a
    generation the generator runs forward on every row once more, and forward and backward on one
    row for every step of the path. Targets take turns at the generator.

    Attributes:
        elitist: whether the centre is the best row so far; if None, True unless scores are noisy.
        population: candidates a generation, at least 4; if None 8, or 24 if not elitist.
        path_rows: how many of these lie on the path, at least 2; if None 3, or 8 if not elitist.
        archive: rows that the readout is fitted to, the last ones, in whole generations; if None
            300, or 400 if not elitist.
        decay: generations after which the weight of a row has fallen to 1 / e.
        radius: first length of a path, in standard deviations of the prior; if None, chosen by the
            dimension: 5 at 128, 8 at 4,096.
        side: height and width to which larger pictures are reduced before they are fitted.
        max_bytes: refuses to start where the stored rows would need more.
    """

    name: ClassVar[str] = "pixel_ridge"
    rank_based: ClassVar[bool] = False
    exchangeable: ClassVar[bool] = False
    host_reads: ClassVar[str] = "targets take turns at the generator"
    state_type: ClassVar[type[PixelRidgeState]] = PixelRidgeState
    _pixels: ClassVar[Pixels | None] = None

    elitist: bool | None = None
    population: int | None = None
    path_rows: int | None = None
    archive: int | None = None
    decay: float = 18.0
    radius: float | None = None
    side: int = 64
    max_bytes: int = 8 * 2**30

    def __post_init__(self) -> None:
        at_least(4, "its rows are of two kinds", population=self.population)
        at_least(2, "a path has a middle and an end", path_rows=self.path_rows)
        at_least(1, "it is a number of pixels", side=self.side)
        positive(radius=self.radius, decay=self.decay)
        memory(self.max_bytes)
        if self._path_rows >= self._population:
            raise ValueError(
                f"path_rows must be less than the population, {self._population}, since a "
                f"generation has other rows too; got {self._path_rows}"
            )
        at_least(self._population, "a generation has to fit in", archive=self.archive)

    def resolve(self, space: Space, context: SearchContext) -> PixelRidge:
        del space
        return self if self.elitist is not None else replace(self, elitist=not context.noisy)

    def population_size(self, space: Space) -> int:
        del space
        return self._population

    def memory_bytes(self, space: Space, targets: int) -> int:
        return super().memory_bytes(space, targets) + self._kept_bytes(targets)

    def _kept_bytes(self, targets: int) -> int:
        """Memory of the pixels of the archive, and of their products."""
        return targets * (self._archive * self._guide.width * 4 + self._archive**2 * 8)

    def bind(self, generator: Generator | None, network: Callable[[str], Oracle]) -> Self:
        del network
        return self.holding(_pixels=Pixels(climbable(self.name, generator), self.side))

    def init(self, space: Space, targets: int, stream: Stream) -> PixelRidgeState:
        width, rows = self._guide.width, self._archive
        needed = self._kept_bytes(targets)
        if needed > self.max_bytes:
            raise Unsupported(
                f"{self.name} needs {needed} bytes to keep {width} pixels of {rows} rows for "
                f"{targets} targets, more than max_bytes = {self.max_bytes}; use fewer targets, a "
                "smaller archive or side, or raise max_bytes",
                field="optimizer.parameters.max_bytes",
            )

        def zeros(*shape: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
            return torch.zeros(targets, *shape, dtype=dtype, device=stream.device)

        return PixelRidgeState(
            centre=zeros(space.dim, dtype=stream.dtype),
            best=zeros(),
            known=zeros(dtype=torch.bool),
            given=zeros(dtype=torch.bool),
            radius=zeros() + (self.radius or self._radii(space).first),
            readout=zeros(width, dtype=torch.float32),
            generation=zeros(dtype=torch.int64),
            pixels=zeros(rows, width, dtype=torch.float32),
            scores=zeros(rows),
            present=zeros(rows, dtype=torch.bool),
            gram=zeros(rows, rows),
            penalty=zeros() + 1.0,
        )

    def started_at(
        self, space: Space, state: PixelRidgeState, latents: torch.Tensor
    ) -> PixelRidgeState:
        centre = frame_of(space, state.centre).inward(latents.to(state.centre))
        return replace(state, centre=centre, given=torch.ones_like(state.given))

    def center(self, space: Space, state: PixelRidgeState) -> torch.Tensor:
        """(K, D) latents where the next paths begin, inside the space."""
        return space.project(frame_of(space, state.centre).outward(state.centre))

    def ask(self, space: Space, state: PixelRidgeState, stream: Stream) -> torch.Tensor:
        noise = stream.normal(self._population, space.dim)
        points = torch.stack(
            [self._propose(space, state, k, noise[k]) for k in range(len(state.centre))]
        )
        latents = frame_of(space, state.centre).outward(points)
        sampling = ~state.given & (state.generation < SAMPLED)
        # Drawn last, so that the draws of one target do not depend on the other targets.
        if bool(sampling.any()):
            sample = space.sample(stream, self._population)
            latents = torch.where(sampling.view(-1, 1, 1), sample, latents)
        return latents

    def tell(
        self,
        space: Space,
        state: PixelRidgeState,
        latents: torch.Tensor,
        scores: torch.Tensor,
        gradients: torch.Tensor | None = None,
    ) -> PixelRidgeState:
        del gradients
        for k, row in enumerate(scores):
            state.radius[k] = self._judged(space, state, k, row)
            # One call for each target: the generator's output for a row depends on the shape of the
            # batch.
            remember(state, k, self._guide.features(latents[k]), row)
        points = frame_of(space, state.centre).inward(latents.to(state.centre))
        self._move(state, points, scores)
        state.generation += 1
        for k in range(len(scores)):
            state.readout[k] = readout(state, k, scores.shape[1], self.decay)
        return state

    @property
    def _guide(self) -> Pixels:
        if self._pixels is None:
            raise Unsupported(
                f"{self.name} needs a differentiable generator; call `bind` first, or run it in a "
                "study that has a generator",
                field="optimizer.name",
            )
        return self._pixels

    @property
    def _keeps_best(self) -> bool:
        return self.elitist is not False

    @property
    def _population(self) -> int:
        return self.population or (POPULATION if self._keeps_best else NOISY_POPULATION)

    @property
    def _path_rows(self) -> int:
        usual = PATH_ROWS if self._keeps_best else NOISY_PATH_ROWS
        return self.path_rows or min(usual, self._population // 2)

    @property
    def _archive(self) -> int:
        """Rows of whole generations, one generation at least."""
        rows = self.archive or (ARCHIVE if self._keeps_best else NOISY_ARCHIVE)
        return max(1, rows // self._population) * self._population

    def _radii(self, space: Space) -> _trust.Radii:
        radii = _trust.exact_radii if self._keeps_best else _trust.noisy_radii
        return radii(space.dim)

    def _on_path(self, state: PixelRidgeState, k: int) -> bool:
        """Whether the first rows of target k's generation lie on a path."""
        first = 1 if bool(state.given[k]) else SAMPLED
        return int(state.generation[k]) >= first and bool(state.readout[k].any())

    def _propose(
        self, space: Space, state: PixelRidgeState, k: int, noise: torch.Tensor
    ) -> torch.Tensor:
        """(P, D) points in the frame for target k, where `noise` is (P, D)."""
        centre = state.centre[k]
        if bool(state.given[k]) and int(state.generation[k]) == 0:
            points = centre + AROUND_START * noise
            points[0] = centre
            return points
        radius = state.radius[k].to(centre.dtype)
        wide = SPREAD * radius / math.sqrt(space.dim) * noise
        if not self._on_path(state, k):
            return centre + wide
        steps = STEPS if space.dim >= MANY_DIMENSIONS else FEWER_STEPS
        path = self._guide.ascend(space, centre, state.readout[k], radius, steps, MOMENTUM)
        middle, ahead = path[steps // 2 - 1], self._path_rows
        points = middle + wide
        if self._keeps_best:
            points[:ahead] = middle + JITTER * noise[:ahead]
            points[_trust.MIDDLE], points[_trust.END] = middle, path[-1]
        else:
            along = [math.ceil((i + 1) / ahead * steps) - 1 for i in range(ahead)]
            points[:ahead] = path[along] + JITTER * noise[:ahead]
        return points

    def _judged(
        self, space: Space, state: PixelRidgeState, k: int, scores: torch.Tensor
    ) -> torch.Tensor:
        """() radius of target k after its generation scored (P,) `scores`."""
        path, others = scores[: self._path_rows], scores[self._path_rows :]
        if not self._on_path(state, k) or bool(path.isnan().all()):
            return state.radius[k]
        if self._keeps_best:
            best = float(state.best[k]) if bool(state.known[k]) else -math.inf
            factor = _trust.factor_by_best(path, best)
        else:
            factor = _trust.factor_by_mean(bounded(path), bounded(others))
        return self._radii(space).scaled(state.radius[k], factor)

    def _move(self, state: PixelRidgeState, points: torch.Tensor, scores: torch.Tensor) -> None:
        """Moves the centres after `points` (K, P, D) scored (K, P) `scores`, in place."""
        came = ~scores.isnan()
        known = comparable(scores)
        top = known.masked_fill(~came, -math.inf).amax(1)
        better = came.any(1) & (~state.known | (top > state.best))
        if self._keeps_best:
            moves, centre = better, best_row(points, known, came)
        else:
            moves = came.sum(1) > 1  # one row cannot be ranked
            centre = weighted_sum(log_utilities(scores, points.dtype)[1], points)
        state.centre = torch.where(moves.unsqueeze(1), centre, state.centre)
        state.best = torch.where(better, top, state.best)
        state.known |= better
