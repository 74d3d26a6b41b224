"""CMA-ES by its authors: the package `cma`."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch

from blackbox_am.core.rng import Stream
from blackbox_am.core.space import Space
from blackbox_am.errors import Unsupported
from blackbox_am.optimizers._frame import Frame, frame_of
from blackbox_am.optimizers._memory import check_matrices
from blackbox_am.optimizers._parameters import at_least, memory, positive
from blackbox_am.optimizers.evolution._start import START_SIGMA
from blackbox_am.optimizers.evolution._step_size import MAX_STEP
from blackbox_am.optimizers.libraries._sessions import Array, LibraryOptimizer, Session, Sessions

log = logging.getLogger(__name__)

MIN_STEP = 1e-7
"""In prior standard deviations: about the spacing of single-precision numbers, the format of
latents. With smaller steps, all rows of a generation are copies of the mean.
"""
VD_LEAST = 10
"""The smallest number of dimensions for VD-CMA, according to its authors' warning."""
MATRICES = 6
"""Number of D x D matrices of a search with a full covariance: C, B, their inverse root, and work
space.
"""

_BREAKDOWNS = (ArithmeticError, AssertionError, IndexError, RuntimeError, TypeError, ValueError)


@dataclass(frozen=True)
class PyCMA(LibraryOptimizer):
    """CMA-ES as its authors wrote it, in double precision on the CPU: full covariance, variances
    alone, or restricted covariances. The reference that `cma` and `sep_cma` are tested against.

    Source: N. Hansen, Y. Akimoto and P. Baudis, "CMA-ES/pycma" (package `cma`); VD-CMA: Akimoto,
    Auger and Hansen (GECCO 2014); VkD-CMA: Akimoto and Hansen (GECCO 2016). This class sets:

    - Random numbers come from generators that are seeded by the study's position. numpy's global
      generator is never seeded, since studies would then disturb each other.
    - The step size follows the evolution path (CSA) at every dimension. From 300 on pycma would
      use two-point adaptation, which needs two certain rows of every generation. VkD has a
      rule of its own.
    - Bounds of boxes are pycma's own, by its smooth transformation, so nothing is left to
      project. On a sphere the search runs in the surrounding space, and the norm has no effect.
    - pycma receives ranks instead of scores. Rows that failed get the median of the other rows,
      which is pycma's own rule, and have almost no weight. A generation with fewer than two
      successful rows is skipped.
    - The stop conditions of pycma are ignored: the budget decides. The largest step is kept between
      1e-7 and 1e6. If pycma still raises an error or gives numbers that are not finite, the search
      of that target starts again from the beginning, and a log entry says so.

    A search is recovered by replay, so resuming a study takes as long as all its asks and tells
    took so far.

    Attributes:
        variant: `full`; `sep` learns variances alone; `vd` a diagonal and one direction, from 10
            dimensions; `vkd` a diagonal and some directions, as many as pay.
        population: candidates a generation, at least 4; if None, pycma's 4 + floor(3 ln D).
        sigma: first step size, in deviations of the prior, see `_frame`.
        mean_learning_rate: how far the mean moves towards the weighted mean of the better half.
        active: whether the worse half shrinks the distribution where it lies; `full` and `sep`.
        start: `prior` starts at the prior's mean, `sample` at a sample of the prior.
        start_sigma: first step size of a study that begins at given latents, at most `sigma`.
        max_bytes: refuses to start where the matrices of `full` would need more.
    """

    name: ClassVar[str] = "pycma"

    variant: Literal["full", "sep", "vd", "vkd"] = "full"
    population: int | None = None
    sigma: float = 0.5
    mean_learning_rate: float = 1.0
    active: bool = True
    start: Literal["prior", "sample"] = "prior"
    start_sigma: float = START_SIGMA
    max_bytes: int = 8 * 2**30

    def __post_init__(self) -> None:
        at_least(4, "pycma recombines two rows or more", population=self.population)
        positive(
            sigma=self.sigma,
            mean_learning_rate=self.mean_learning_rate,
            start_sigma=self.start_sigma,
        )
        memory(self.max_bytes)

    def population_size(self, space: Space) -> int:
        return self.population or 4 + math.floor(3 * math.log(space.dim))

    def check(self, space: Space) -> None:
        super().check(space)
        self._check_variant(space, targets=1)

    def memory_bytes(self, space: Space, targets: int) -> int:
        full = 8 * MATRICES * targets * space.dim**2 if self.variant == "full" else 0
        return super().memory_bytes(space, targets) + full

    def begin(self, space: Space, seed: int) -> Session:
        return _Search(self, space, seed)

    def init(self, space: Space, targets: int, stream: Stream) -> Sessions:
        self._check_variant(space, targets)
        return super().init(space, targets, stream)

    def _check_variant(self, space: Space, targets: int) -> None:
        if self.variant == "vd" and space.dim < VD_LEAST:
            raise Unsupported(
                f"pycma's variant vd is made for {VD_LEAST} dimensions or more, and the space has "
                f"{space.dim}; use the variant full",
                field="optimizer.parameters.variant",
            )
        if self.variant == "full":
            check_matrices(
                "pycma",
                matrices=MATRICES,
                targets=targets,
                dim=space.dim,
                itemsize=8,
                max_bytes=self.max_bytes,
            )


class _Search(Session):
    """One `CMAEvolutionStrategy`, in the frame of the space."""

    def __init__(self, optimizer: PyCMA, space: Space, seed: int) -> None:
        super().__init__()
        self._optimizer = optimizer
        self._space = space
        self._frame: Frame = frame_of(space, torch.empty(0, dtype=torch.float64))
        self._start: Array | None = None
        self._first_seed = seed
        self._begin(seed)

    def begin_at(self, latent: Array) -> None:
        start = self._frame.inward(torch.from_numpy(latent))
        self._start = self._frame.clamp(start).numpy()
        self._begin(self._first_seed)

    def propose(self, seed: int) -> Array:
        try:
            points = self._ask(seed)
        except _BREAKDOWNS as error:
            log.warning("pycma broke down (%s: %s) and begins again", type(error).__name__, error)
            self._begin(seed)
            points = self._ask(seed)
        self._points = points
        return self._frame.outward(torch.from_numpy(np.stack(points))).numpy()

    def recommended(self) -> Array:
        """The mean of the distribution, inside the bounds."""
        point = np.asarray(self._es.result.xfavorite, dtype=np.float64)
        return self._frame.outward(torch.from_numpy(point)).numpy()

    def learn(self, scores: Array) -> None:
        failed = np.isnan(scores)
        if (~failed).sum() < 2:
            return  # nothing to rank: the next generation is of the same distribution
        ranks = np.searchsorted(np.unique(-scores[~failed]), -scores).astype(np.float64)
        ranks[failed] = np.median(ranks[~failed])
        try:
            self._es.tell(self._points, ranks.tolist())
            self._keep_effective()
        except _BREAKDOWNS as error:
            log.warning("pycma broke down (%s: %s) and begins again", type(error).__name__, error)
            assert self._seed is not None
            self._begin(self._seed + 1)

    def _keep_effective(self) -> None:
        """Keeps the largest step within bounds. From about 1,000 dimensions on, pycma's own options
        `minstd` and `maxstd` would take as long as the rest of a generation.
        """
        largest = float(self._es.stds.max())
        if largest > 0 and not MIN_STEP <= largest <= MAX_STEP:
            self._es.sigma *= min(max(largest, MIN_STEP), MAX_STEP) / largest

    def _ask(self, seed: int) -> list[Array]:
        self._random = np.random.default_rng(seed)
        points: list[Array] = list(self._es.ask())
        if not np.isfinite(points).all():
            raise FloatingPointError("it proposes numbers that are not finite")
        return points

    def _begin(self, seed: int) -> None:
        import cma

        self._random = np.random.default_rng(seed)
        start, sigma = np.zeros(self._space.dim), self._optimizer.sigma
        if self._start is not None:
            start, sigma = self._start, min(sigma, self._optimizer.start_sigma)
        elif self._optimizer.start == "sample":
            sample = self._space.sample(Stream(seed, "start", 0, dtype=torch.float64), 1)[0, 0]
            start = self._frame.inward(sample).numpy()
        self._es: Any = cma.CMAEvolutionStrategy(start, sigma, self._options(cma))

    def _options(self, cma: Any) -> dict[str, Any]:
        optimizer = self._optimizer
        low, high = self._frame.low.numpy(), self._frame.high.numpy()
        options = {
            "popsize": optimizer.population_size(self._space),
            "randn": lambda *shape: self._random.standard_normal(shape),
            "seed": np.nan,  # pycma seeds nothing
            "verbose": -9,
            "CMA_cmean": optimizer.mean_learning_rate,
            "CMA_active": optimizer.active,
            "CMA_diagonal": optimizer.variant == "sep",
            "CMA_mirrors": 0,
            "AdaptSigma": cma.sigma_adaptation.CMAAdaptSigmaCSA,
        }
        if np.isfinite(low).any():
            options["bounds"] = [
                [float(x) if math.isfinite(x) else None for x in side] for side in (low, high)
            ]
        if optimizer.variant in ("vd", "vkd"):  # these take their numbers from here alone
            options["CMA_sampler_options"] = {"randn": options["randn"]}
        samplers = cma.restricted_gaussian_sampler
        if optimizer.variant == "vd":
            return dict(samplers.GaussVDSampler.extend_cma_options(options))
        if optimizer.variant == "vkd":
            return dict(samplers.GaussVkDSampler.extend_cma_options(options))
        return options
