"""PROTES: a probability law on all combinations, held as a tensor train."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import torch

from blackbox_am.core.rng import Stream
from blackbox_am.core.space import Space
from blackbox_am.errors import Unsupported
from blackbox_am.optimizers._centers import vote
from blackbox_am.optimizers._incumbents import rows_at
from blackbox_am.optimizers._parameters import at_least, memory, positive
from blackbox_am.optimizers._weights import descending
from blackbox_am.optimizers.tensor_train import _law as law
from blackbox_am.optimizers.tensor_train._adam import climb
from blackbox_am.optimizers.tensor_train._grid import Grid, SearchesGrid

START_CHANGES = 4
"""Modes of a sample that differ from the start of a search in expectation."""
CENTER_DRAWS = 32
"""Samples of the law whose most frequent values are its centre."""


@dataclass
class TensorTrainState:
    """State of K searches.

    Attributes:
        cores: (K, M, n, r, r), see `_law`.
        first, second: (K, M, n, r, r) Adam's moments of the gradient.
        steps: (K,) int64, steps that Adam has made.
        generation: (K,) int64, generations told.
    """

    cores: torch.Tensor
    first: torch.Tensor
    second: torch.Tensor
    steps: torch.Tensor
    generation: torch.Tensor


@dataclass(frozen=True)
class TensorTrain(SearchesGrid[TensorTrainState]):
    """PROTES: a probability law on all combinations of codes, or of the bits of a grid, held as a
    tensor train, drawn from, and moved towards the best rows of each generation.

    For codes. It searches a grid over a continuous space, where evolution strategies such as
    `sep_cma` need far fewer queries.

    Source: A. Batsheva et al., "PROTES: Probabilistic Optimization with Tensor Sampling"
    (NeurIPS 2023), section 3: of P samples the best k, and steps of Adam up their mean
    log-likelihood. This implementation differs in six things: values are redrawn uniformly with a
    small chance (`exploration`, see `_law`); population, elites and gradient steps are not the
    paper's 100, 10 and 1 (on units of a CIFAR-10 ResNet behind 64 codes of 512, 3,000 queries with
    the paper's values found no more than random draws; with the values here they reached most of
    the score of a genetic algorithm); grids follow the prior; codes are split into bits, for the
    same reason; a generation of which n of P rows came back has n k / P elites, rounded down, but
    at least one; a generation of one row changes nothing.

    An ask takes time in proportion to modes x population x rank^2, a tell to modes x elites x
    rank^2 x gradient_steps, on one thread. Beyond about ten thousand modes, fewer gradient steps
    may be necessary to limit the time. Sweeps are compiled once for each installation, which takes
    some seconds, and run on the CPU also where the rest of the study computes on another device.

    Attributes:
        population: P, candidates a generation.
        elites: k, rows of a generation that the law is moved to.
        rank: r of the tensor train.
        learning_rate: of Adam.
        gradient_steps: of Adam, a generation. Larger steps do not replace more steps.
        exploration: how many modes of a candidate are redrawn uniformly, in expectation. With the
            paper's value of 0, all candidates become identical in the end. This did not lower the
            score after 3,000 queries, and lowered it a little after 10,000. A value of 4 was too
            large.
        max_bytes: refuses to start where the cores and their moments for Adam would need more.
    """

    name: ClassVar[str] = "tensor_train"
    exchangeable: ClassVar[bool] = False
    host_reads: ClassVar[str] = "sweeps from mode to mode are computed on the CPU"
    state_type: ClassVar[type[TensorTrainState]] = TensorTrainState

    population: int = 20
    elites: int = 2
    rank: int = 5
    learning_rate: float = 0.05
    gradient_steps: int = 30
    exploration: float = 1.0
    max_bytes: int = 8 * 2**30

    def __post_init__(self) -> None:
        at_least(2, "one row cannot be ranked", population=self.population)
        at_least(1, "the law is moved to them", elites=self.elites)
        if self.elites >= self.population:
            raise ValueError(
                f"elites must be fewer than the population of {self.population}, "
                f"or nothing is selected; got {self.elites}"
            )
        at_least(1, "0 can only hold 0", rank=self.rank)
        positive(learning_rate=self.learning_rate)
        at_least(1, "it counts steps", gradient_steps=self.gradient_steps)
        if not 0 <= self.exploration < math.inf:
            raise ValueError(f"exploration must be finite and not negative, got {self.exploration}")
        super().__post_init__()
        memory(self.max_bytes)

    def population_size(self, space: Space) -> int:
        del space
        return self.population

    def check(self, space: Space) -> None:
        super().check(space)
        self._check_memory(self.grid_of(space, torch.empty(0)), targets=1)

    def init(self, space: Space, targets: int, stream: Stream) -> TensorTrainState:
        grid = self.grid_of(space, torch.empty(0, device=stream.device, dtype=stream.dtype))
        self._check_memory(grid, targets)
        cores = stream.uniform(grid.modes, grid.size, self.rank, self.rank)
        return TensorTrainState(
            cores=cores,
            first=torch.zeros_like(cores),
            second=torch.zeros_like(cores),
            steps=torch.zeros(targets, dtype=torch.int64, device=stream.device),
            generation=torch.zeros(targets, dtype=torch.int64, device=stream.device),
        )

    def started_at(
        self, space: Space, state: TensorTrainState, latents: torch.Tensor
    ) -> TensorTrainState:
        """Every matrix of a value of the start is enlarged until about `START_CHANGES` modes of a
        sample differ from the start.
        """
        grid = self.grid_of(space, state.cores)
        if space.dtype is None:
            latents = latents.to(state.cores)
        held = grid.indices(latents.unsqueeze(1))[..., 0].to(torch.int64)
        keep = max(0.5, 1 - START_CHANGES / grid.modes)
        factor = (grid.size - 1) * keep / (1 - keep)
        factors = torch.ones_like(state.cores[..., 0, 0])
        factors.scatter_(-1, held.unsqueeze(-1), factor)
        return replace(state, cores=state.cores * factors[..., None, None])

    def center(self, space: Space, state: TensorTrainState) -> torch.Tensor:
        """The most frequent value of each coordinate, or code, among `CENTER_DRAWS` samples of the
        law, drawn without the uniform share and with numbers that are always the same.
        """
        grid = self.grid_of(space, state.cores)
        cores = state.cores
        stream = Stream(0, "center", 0, device=cores.device, dtype=cores.dtype)
        uniform = stream.uniform(grid.modes, CENTER_DRAWS)
        uniform = uniform.expand(len(cores), -1, -1).contiguous()
        rows = grid.latents(law.draw(cores, uniform, 0.0, grid.bits))
        return space.project(vote(rows, rows.new_ones(rows.shape[:2], dtype=torch.float64)))

    def ask(self, space: Space, state: TensorTrainState, stream: Stream) -> torch.Tensor:
        grid = self.grid_of(space, state.cores)
        uniform = stream.uniform(grid.modes, self.population)
        return grid.latents(law.draw(state.cores, uniform, self._floor(grid), grid.bits))

    def tell(
        self,
        space: Space,
        state: TensorTrainState,
        latents: torch.Tensor,
        scores: torch.Tensor,
        gradients: torch.Tensor | None = None,
    ) -> TensorTrainState:
        del gradients
        grid = self.grid_of(space, state.cores)
        order = descending(scores)[:, : self.elites]
        picks = grid.indices(rows_at(latents, order))
        weights = self._weights(scores).to(state.cores.dtype)
        learns = (weights > 0).any(-1)
        # Each step is a sweep from mode to mode, which the CPU computes.
        cores, first, second, steps, picks, weights, learns = (
            tensor.cpu()
            for tensor in (
                state.cores,
                state.first,
                state.second,
                state.steps,
                picks,
                weights,
                learns,
            )
        )
        for _ in range(self.gradient_steps):
            slope = law.ascent(cores, picks, weights, self._floor(grid))
            steps += learns
            climb(cores, slope, first, second, steps, learns, self.learning_rate)
        return TensorTrainState(
            cores=cores.to(scores.device),
            first=first.to(scores.device),
            second=second.to(scores.device),
            steps=steps.to(scores.device),
            generation=state.generation + 1,
        )

    def _weights(self, scores: torch.Tensor) -> torch.Tensor:
        """(K, elites): equal weights of the elites among the rows that came back, best first; all 0
        where fewer than two rows came back.
        """
        present = (~scores.isnan()).sum(-1, keepdim=True)
        count = (present * self.elites).div(self.population, rounding_mode="floor").clamp(min=1)
        count = torch.where(present > 1, count, 0)
        places = torch.arange(self.elites, device=scores.device)
        return torch.where(places < count, 1 / count.clamp(min=1), 0.0)

    def memory_bytes(self, space: Space, targets: int) -> int:
        grid = self.grid_of(space, torch.empty(0))
        # A tell holds the former cores and moments beside the new ones, and a gradient; an ask
        # holds a number and a value for each mode of each candidate.
        drawn = 8 * targets * grid.modes * self.population
        return super().memory_bytes(space, targets) + 7 * self._core_bytes(grid, targets) + drawn

    def _core_bytes(self, grid: Grid, targets: int) -> int:
        return targets * grid.modes * grid.size * self.rank**2 * grid.levels.element_size()

    def _check_memory(self, grid: Grid, targets: int) -> None:
        """Checks the memory of the cores, their two moments and a gradient."""
        needed = 4 * self._core_bytes(grid, targets)
        if needed > self.max_bytes:
            raise Unsupported(
                f"{self.name} needs {needed} bytes of cores for {targets} targets and "
                f"{grid.modes} modes of {grid.size} values at rank {self.rank}, more than "
                f"max_bytes = {self.max_bytes}; lower the rank, search fewer targets at once, or "
                "raise max_bytes",
                field="optimizer.parameters.max_bytes",
            )

    def _floor(self, grid: Grid) -> float:
        """The chance of one mode to be redrawn; 0 below the spacing of uniform numbers."""
        chance = min(1.0, self.exploration / grid.modes)
        return chance if chance > 2.0**-24 else 0.0
