"""PROTES: a probability law on all combinations, held as a tensor train."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from blackbox_am.core.optimizer import CONTINUOUS, Optimizer
from blackbox_am.core.rng import Stream
from blackbox_am.core.space import Space
from blackbox_am.optimizers import _tt_law as law
from blackbox_am.optimizers._incumbents import rows_at
from blackbox_am.optimizers._parameters import at_least, positive
from blackbox_am.optimizers._tt_adam import climb
from blackbox_am.optimizers._tt_grid import Grid, Points, check_codes, grid_of
from blackbox_am.optimizers._weights import descending


@dataclass
class TensorTrainState:
    """What moves.

    Attributes:
        cores: (K, M, n, r, r), see `_tt_law`.
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
class TensorTrain(Optimizer[TensorTrainState]):
    """PROTES.
    """

    name: ClassVar[str] = "tensor_train"
    exchangeable: ClassVar[bool] = False
    spaces: ClassVar[frozenset[str]] = CONTINUOUS | {"categorical"}
    state_type: ClassVar[type[TensorTrainState]] = TensorTrainState

    population: int = 100
    elites: int = 10
    rank: int = 5
    learning_rate: float = 0.05
    gradient_steps: int = 1
    exploration: float = 1.0
    bits: int = 6
    grid: Points = "prior"
    limit: float = 3.0
    split_codes: bool = False

    def population_size(self, space: Space) -> int:
        del space
        return self.population

    def check(self, space: Space) -> None:
        super().check(space)
        check_codes(self.name, space, split_codes=self.split_codes)

    def init(self, space: Space, targets: int, stream: Stream) -> TensorTrainState:
        grid = self._grid(space, torch.empty(0, device=stream.device, dtype=stream.dtype))
        cores = stream.uniform(grid.modes, grid.size, self.rank, self.rank)
        return TensorTrainState(
            cores=cores,
            first=torch.zeros_like(cores),
            second=torch.zeros_like(cores),
            steps=torch.zeros(targets, dtype=torch.int64, device=stream.device),
            generation=torch.zeros(targets, dtype=torch.int64, device=stream.device),
        )

    def ask(self, space: Space, state: TensorTrainState, stream: Stream) -> torch.Tensor:
        grid = self._grid(space, state.cores)
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
        grid = self._grid(space, state.cores)
        order = descending(scores)[:, : self.elites]
        picks = grid.indices(rows_at(latents, order))
        weights = self._weights(scores).to(state.cores.dtype)
        learns = (weights > 0).any(-1)
        for _ in range(self.gradient_steps):
            slope = law.ascent(state.cores, picks, weights, self._floor(grid))
            state.steps += learns
            climb(
                state.cores,
                slope,
                state.first,
                state.second,
                state.steps,
                learns,
                self.learning_rate,
            )
        state.generation += 1
        return state

    def _weights(self, scores: torch.Tensor) -> torch.Tensor:
        """(K, elites)."""
        present = (~scores.isnan()).sum(-1, keepdim=True)
        count = (present * self.elites).div(self.population, rounding_mode="floor").clamp(min=1)
        count = torch.where(present > 1, count, 0)
        places = torch.arange(self.elites, device=scores.device)
        return torch.where(places < count, 1 / count.clamp(min=1), 0.0)

    def _grid(self, space: Space, like: torch.Tensor) -> Grid:
        return grid_of(
            space,
            like,
            bits=self.bits,
            points=self.grid,
            limit=self.limit,
            split_codes=self.split_codes,
        )

    def _floor(self, grid: Grid) -> float:
        return min(1.0, self.exploration / grid.modes)
