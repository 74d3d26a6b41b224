"""Quasi-random search."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, cast

import torch
from torch.quasirandom import SobolEngine

from blackbox_am.core.optimizer import EVERY, Optimizer
from blackbox_am.core.rng import Stream
from blackbox_am.core.space import Box, Categorical, Product, Space
from blackbox_am.errors import Unsupported
from blackbox_am.optimizers._parameters import at_least

MAX_DIMENSION = SobolEngine.MAXDIM
LENGTH = 2**SobolEngine.MAXBIT
"""Number of points in a sequence, which repeats afterwards."""


DIGITS = 30
"""Binary digits of a coordinate."""
ENGINES = 64
"""Number of sequences that are kept."""
MOST_FREE = 2**28
"""The most memory in bytes that is free and not given back to the system."""


@dataclass
class SobolState:
    """State of K searches.

    Attributes:
        scramble: (K,) int64, which scrambling of the sequence.
        generation: (K,) int64, generations told.
    """

    scramble: torch.Tensor
    generation: torch.Tensor


@dataclass(frozen=True)
class Sobol(Optimizer[SobolState]):
    """Points of a scrambled Sobol sequence, spread more evenly over the prior than random ones.

    A baseline like `random`: it learns nothing. Each target walks through a sequence of its
    own, in order. Normal coordinates are made from uniform ones by the inverse of the normal
    distribution, those of a sphere by scaling normal ones to its radius, codes by cutting [0, 1)
    into equal parts.

    Sources: I. M. Sobol (1967), with the direction numbers of S. Joe and F. Y. Kuo,
    "Constructing Sobol Sequences with Better Two-Dimensional Projections" (SIAM Journal on
    Scientific Computing 30, 2008), scrambled by random linear maps and a random shift of the
    digits, all as in `torch.quasirandom.SobolEngine`. Points are moved by half the spacing of the
    sequence's grid, away from 0, because 0 has no finite normal quantile.

    The sequence is computed on the CPU, a target at a time, and K numbers are read back to the
    host in every generation.

    Attributes:
        population: candidates a generation; powers of 2 are spread most evenly.
    """

    name: ClassVar[str] = "sobol"
    spaces: ClassVar[frozenset[str]] = EVERY
    host_reads: ClassVar[str] = "the sequence is computed on the CPU"
    state_type: ClassVar[type[SobolState]] = SobolState

    population: int = 64

    def __post_init__(self) -> None:
        at_least(1, "a generation has rows", population=self.population)

    def population_size(self, space: Space) -> int:
        del space
        return self.population

    def check(self, space: Space) -> None:
        super().check(space)
        if space.dim > MAX_DIMENSION:
            raise Unsupported(
                f"sobol goes up to {MAX_DIMENSION} dimensions, for which there are direction "
                f"numbers, and the space has {space.dim}; use `random`",
                field="optimizer.name",
            )

    def memory_bytes(self, space: Space, targets: int) -> int:
        # A digit of a coordinate is scrambled by a matrix. Those of earlier targets are free again,
        # but the C library keeps some of their memory.
        matrix = 8 * DIGITS**2 * space.dim
        kept = min(targets * matrix, MOST_FREE) + 3 * 8 * DIGITS * space.dim * min(targets, ENGINES)
        return 2 * super().memory_bytes(space, targets) + 6 * matrix + kept

    def init(self, space: Space, targets: int, stream: Stream) -> SobolState:
        del space
        return SobolState(
            scramble=stream.integers(2**62),
            generation=torch.zeros(targets, dtype=torch.int64, device=stream.device),
        )

    def ask(self, space: Space, state: SobolState, stream: Stream) -> torch.Tensor:
        size = self.population
        points = [
            quantiles(space, sequence(space.dim, scramble, generation * size, size))
            for scramble, generation in zip(
                state.scramble.tolist(), state.generation.tolist(), strict=True
            )
        ]
        return torch.stack(points).to(stream.device, space.dtype or stream.dtype)

    def tell(
        self,
        space: Space,
        state: SobolState,
        latents: torch.Tensor,
        scores: torch.Tensor,
        gradients: torch.Tensor | None = None,
    ) -> SobolState:
        del space, latents, scores, gradients
        return SobolState(state.scramble, state.generation + 1)


def sequence(dim: int, scramble: int, start: int, n: int) -> torch.Tensor:
    """(n, dim) float64 inside (0, 1): points `start` to `start + n` of a scrambled sequence."""
    engine = copy.deepcopy(_engine(dim, scramble))  # drawing advances the state of the engine
    if start % LENGTH:
        engine.fast_forward(start % LENGTH)
    points: torch.Tensor = engine.draw(n, dtype=torch.float64)
    return points.add_(0.5 / LENGTH)


def quantiles(space: Space, uniform: torch.Tensor) -> torch.Tensor:
    """(n, D) points of the prior of `space`, from uniform numbers (n, D) inside (0, 1)."""
    if isinstance(space, Product):
        pieces = zip(space.parts, space.split(uniform), strict=True)
        return torch.cat([quantiles(part, piece) for part, piece in pieces], dim=-1)
    if isinstance(space, Box):
        low, high = space.bounds(uniform)
        return low + uniform * (high - low)
    if isinstance(space, Categorical):
        return (uniform * space.spec.categories).floor()
    normal: torch.Tensor = torch.special.ndtri(uniform)
    return space.project(normal)


@lru_cache(maxsize=ENGINES)
def _engine(dim: int, scramble: int) -> Any:
    """A scrambled sequence at its start. Scrambling takes longer than drawing."""
    return cast(Any, SobolEngine)(dim, scramble=True, seed=scramble)  # it is not typed
