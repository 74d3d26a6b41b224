"""The optimizers of the package `nevergrad`."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch

from blackbox_am.core.optimizer import EVERY, SearchContext
from blackbox_am.core.rng import Stream
from blackbox_am.core.space import Space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.errors import Unsupported
from blackbox_am.optimizers._frame import frame_of
from blackbox_am.optimizers._memory import archive_bytes, check_archive
from blackbox_am.optimizers._parameters import at_least, memory, positive
from blackbox_am.optimizers.evolution._start import START_SIGMA
from blackbox_am.optimizers.libraries import _nevergrad_names as names
from blackbox_am.optimizers.libraries._sessions import (
    Array,
    LibraryOptimizer,
    Session,
    Sessions,
    numpy_words,
    sealed,
)

WORST = 1e20
"""The largest loss that nevergrad receives: nevergrad clips losses at 5e20."""
LARGEST = 1e30
"""The largest coordinate in the frame. Latents are single precision, which still computes with such
values.
"""
ARCHIVED = 10
"""nevergrad prunes an archive when it has grown to this many times its smallest size, which is 100
candidates, or 7 generations.
"""
CENTRE = 1e-6
"""In radii: a latent that is nearer than this to the centre of a sphere has no direction."""


@dataclass(frozen=True)
class Nevergrad(LibraryOptimizer):
    """Any optimizer that nevergrad registers and that works in batches, as `nevergrad:TwoPointsDE`
    and so on: some 400 of its 540 names. Names that cannot serve are refused, with the reason.

    Source: J. Rapin and O. Teytaud, "Nevergrad - A gradient-free optimization platform" (package
    `nevergrad`, MIT). A generation is asked and told as a whole, on the CPU. Its Python code takes
    0.1 to 0.6 ms a candidate; the optimizers of this package take microseconds. This class sets:

    - `CMA`, `DiagonalCMA` and similar optimizers use the study's population. nevergrad would choose
      another population for large batches, and then fail from 300 dimensions on.
    - Continuous spaces are searched in the frame of `_frame`, boxes with nevergrad's own bounds.
      On a sphere the search runs in the surrounding space. The centre of the sphere, where many
      optimizers begin, is replaced by a sample of the prior. Codes are integers, one for each
      position.
    - Losses are negated scores, limited to 1e20. Rows that failed get the worst loss of their
      generation, or the worst loss so far if all rows failed, because some optimizers wait for
      every score.
    - An error inside nevergrad ends the study. The message says which optimizer failed and names
      alternatives.

    A search is recovered by replay, so resuming a study takes as long as all its asks and tells
    took so far.

    Attributes:
        optimizer: the name in nevergrad's registry.
        population: candidates a generation; nevergrad's `num_workers`.
        sigma: standard deviation of its first steps, in deviations of the prior; some of its
            optimizers scale it by factors of their own. Codes are not affected.
        budget: the number of candidates that nevergrad plans for; the study's budget if None.
            Some optimizers fail beyond this number after a study's budget is raised.
        max_bytes: refuses to start where nevergrad's archives of candidates could need more.
    """

    name: ClassVar[str] = "nevergrad"
    family: ClassVar[str] = "optimizer"
    rank_based: ClassVar[bool] = False
    spaces: ClassVar[frozenset[str]] = EVERY

    optimizer: str = "DiagonalCMA"
    population: int = 20
    sigma: float = 1.0
    budget: int | None = None
    max_bytes: int = 8 * 2**30

    def __post_init__(self) -> None:
        at_least(2, "nevergrad's strategies compare rows", population=self.population)
        at_least(1, "it counts rows", budget=self.budget)
        positive(sigma=self.sigma)
        memory(self.max_bytes)
        names.known(self.optimizer)

    def population_size(self, space: Space) -> int:
        del space
        return self.population

    def check(self, space: Space) -> None:
        super().check(space)
        self._check_memory(space, targets=1)
        names.check(self.optimizer)
        if self.budget is not None:
            with sealed(0):
                session = self.begin(space, 0)
                if space.mixed:  # some of its optimizers fail there, and only once they are asked
                    session.propose(0)
                    session.learn(np.arange(self.population, dtype=np.float64))

    def resolve(self, space: Space, context: SearchContext) -> Nevergrad:
        """The optimizer with its budget rounded to whole generations. The inner optimizers that
        nevergrad chooses by the budget are checked here.
        """
        generations = math.ceil(context.queries_per_target / self.population)
        settled = replace(self, budget=self.budget or generations * self.population)
        settled.check(space)
        return settled

    def init(self, space: Space, targets: int, stream: Stream) -> Sessions:
        self._check_memory(space, targets)
        return super().init(space, targets, stream)

    def begin(self, space: Space, seed: int) -> Session:
        return _Search(self, space, seed)

    def memory_bytes(self, space: Space, targets: int) -> int:
        archive = archive_bytes(self._archived(), targets, space.dim)
        return super().memory_bytes(space, targets) + archive

    def _archived(self) -> int:
        """The most candidates that nevergrad remembers."""
        archived = ARCHIVED * max(100, 7 * self.population)
        return archived if self.budget is None else min(archived, self.budget)

    def _check_memory(self, space: Space, targets: int) -> None:
        check_archive(
            "nevergrad",
            rows=self._archived(),
            targets=targets,
            dim=space.dim,
            max_bytes=self.max_bytes,
        )


class _Search(Session):
    """One running optimizer of nevergrad, in the frame of the space."""

    def __init__(self, optimizer: Nevergrad, space: Space, seed: int) -> None:
        super().__init__()
        self._settings = optimizer
        self._name = optimizer.optimizer
        self._population = optimizer.population
        self._space = space
        self._seed_of_search = seed
        self._begin(optimizer.sigma, None)
        sample = space.sample(Stream(seed, "centre", 0, dtype=torch.float64), 1)[0, 0]
        self._centre = sample.numpy()
        self._candidates: list[Any] = []
        self._worst = -np.inf

    def _begin(self, sigma: float, start: Array | None) -> None:
        """Makes nevergrad's optimizer, around `start` (D,) in the frame, or the prior's mean."""
        self._random = np.random.RandomState(numpy_words(self._seed_of_search))  # as it takes
        parametrization = _parametrization(self._space.spec, sigma, start)
        parametrization.random_state = self._random
        settings = self._settings
        self._optimizer = names.made(
            self._name, parametrization, settings.population, settings.budget
        )

    def begin_at(self, latent: Array) -> None:
        frame = frame_of(self._space, torch.empty(0, dtype=torch.float64))
        start = frame.clamp(frame.inward(torch.from_numpy(latent))).numpy()
        self._begin(min(self._settings.sigma, START_SIGMA), start)

    def propose(self, seed: int) -> Array:
        self._random.seed(numpy_words(seed))
        with self._answering("asked"):
            self._candidates = [self._optimizer.ask() for _ in range(self._population)]
            points = np.stack([_flat(candidate.value) for candidate in self._candidates])
            if not (np.abs(points) <= LARGEST).all():
                raise FloatingPointError("it proposes numbers that are not finite, or too large")
        return self._latents(points)

    def _latents(self, points: Array) -> Array:
        """Points (P, D) of nevergrad as latents."""
        if points.dtype.kind == "i":
            return self._space.project(torch.from_numpy(points)).numpy()
        frame = frame_of(self._space, torch.empty(0, dtype=torch.float64))
        latents: Array = frame.outward(torch.from_numpy(points)).numpy()
        self._leave_centres(latents)
        return latents

    def _leave_centres(self, latents: Array) -> None:
        """Moves rows of `latents` (P, D) away from the centre of a sphere, because the centre has
        no projection.
        """
        start = 0
        for leaf in _leaves(self._space.spec):
            part = slice(start, start + leaf.dimension)
            start += leaf.dimension
            if leaf.kind == "sphere":
                radius = np.linalg.norm(self._centre[part])
                lost = np.linalg.norm(latents[:, part], axis=1) < CENTRE * radius
                latents[lost, part] = self._centre[part]

    def recommended(self) -> Array:
        """What nevergrad provides as its recommendation. Of some of its optimizers this is the best
        row alone.
        """
        before = self._random.get_state()
        with self._answering("asked for its recommendation"):
            point = _flat(self._optimizer.provide_recommendation().value)
        self._random.set_state(before)
        latent: Array = self._latents(point[None])[0]
        return latent

    def learn(self, scores: Array) -> None:
        losses = np.clip(-scores, -WORST, WORST)
        failed = np.isnan(losses)
        if not failed.all():
            self._worst = max(self._worst, losses[~failed].max())
            losses[failed] = losses[~failed].max()
        else:
            losses[:] = min(self._worst, WORST) if np.isfinite(self._worst) else WORST
        with self._answering("told"):
            for candidate, loss in zip(self._candidates, losses.tolist(), strict=True):
                self._optimizer.tell(candidate, loss)

    @contextmanager
    def _answering(self, being: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            raise Unsupported(
                f"nevergrad's {self._name} failed when it was {being}, in {self._space.dim} "
                f"dimensions with a population of {self._population} ({names.said(error)}); "
                f"{names.OTHERS}",
                field="optimizer.name",
            ) from error


def _parametrization(spec: SpaceSpec, sigma: float, start: Array | None) -> Any:
    """The space as nevergrad describes it, in the frame; `start` (D,) is its first point."""
    import nevergrad

    leaves = _leaves(spec)
    ends = np.cumsum([leaf.dimension for leaf in leaves])[:-1]
    starts = [None] * len(leaves) if start is None else np.split(start, ends)
    parts = [_array(leaf, sigma, first) for leaf, first in zip(leaves, starts, strict=True)]
    return parts[0] if len(parts) == 1 else nevergrad.p.Tuple(*parts)


def _array(spec: SpaceSpec, sigma: float, start: Array | None) -> Any:
    """One kind of coordinate.

    Codes have the same law as in `TransitionChoice`, a bounded integer whose normal deviate is
    mapped to a uniform law, but without an object for every code and position: 20 proposals of 256
    codes out of 1024 take 3 ms instead of 2.9 s.
    """
    from nevergrad.parametrization.parameter import Array as Parameter

    if spec.kind == "categorical":
        middle = np.full(spec.dimension, (spec.categories - 1) / 2)
        codes = Parameter(init=middle if start is None else start)
        return codes.set_bounds(-0.5, spec.categories - 0.5, "gaussian").set_integer_casting()
    array = Parameter(init=np.zeros(spec.dimension) if start is None else start)
    if spec.kind == "box":
        half = np.sqrt(3.0)  # half a width, in deviations of the uniform law
        array = array.set_bounds(-half, half)
    return array.set_mutation(sigma=sigma)


def _leaves(spec: SpaceSpec) -> list[SpaceSpec]:
    if spec.kind != "product":
        return [spec]
    return [leaf for part in spec.parts for leaf in _leaves(part)]


def _flat(value: Any) -> Array:
    """(D,) the numbers of a candidate."""
    return np.concatenate(value) if isinstance(value, tuple) else np.asarray(value)
