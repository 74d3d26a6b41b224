"""TTOpt: maximisation by cross approximation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch

from blackbox_am.core.rng import Stream
from blackbox_am.core.space import Space
from blackbox_am.errors import Unsupported
from blackbox_am.optimizers._incumbents import comparable
from blackbox_am.optimizers._parameters import at_least
from blackbox_am.optimizers.tensor_train import _cross as cross
from blackbox_am.optimizers.tensor_train._cross import Floats, Indices
from blackbox_am.optimizers.tensor_train._grid import Grid, SearchesGrid, joined

MAX_BLOCK = 4096
"""Candidates a generation, above which a space is refused."""


@dataclass
class TTOptState:
    """State of K searches.

    Attributes:
        left, right: (K, M + 1, r, 2) int32 index sets at every boundary, see `_cross`.
        best: (K, M) int32, the multi-index of the best score so far.
        best_score: (K,) float64, 0 before the first score.
        known: (K,) bool, whether any score has come back.
        generation: (K,) int64, generations told.
    """

    left: torch.Tensor
    right: torch.Tensor
    best: torch.Tensor
    best_score: torch.Tensor
    known: torch.Tensor
    generation: torch.Tensor


@dataclass(frozen=True)
class TTOpt(SearchesGrid[TTOptState]):
    """Cross approximation: sweeps over the modes of a grid, back and forth, and keeps at each mode
    the multi-indices whose scores span the measured block best. For a few hundred modes and exact
    scores.

    With r left and r right multi-indices around a mode of n values, a generation measures all
    r n r combinations. Of the scores as a matrix of r n rows and r columns, the rows of the
    submatrix of the largest volume become the multi-indices at the next mode, the row of the
    best score always among them. Scores are searched through exp((score - best) / spread).

    A sweep takes D modes x n r^2 queries. The method cannot distinguish noise from structure: for
    noisy scores, or a budget that is shorter than a few sweeps, use `tensor_train` or an evolution
    strategy.

    Source: K. Sozykin et al., "TTOpt: A Maximum Volume Quantized Tensor Train-based
    Optimization and its Application to Reinforcement Learning" (NeurIPS 2022). This implementation
    differs in five things: the first sets are random multi-indices, not derived from a random
    tensor; the end modes are measured once a turn, not twice; the spread, by which scores are
    divided, is that of the block (its best less its median), so that a scale of the scores changes
    nothing; nothing is cached; generations have equal size: near the ends of the sweep, where
    blocks are smaller, they are filled up with the best multi-index, each of its modes redrawn with
    a chance of 2 / M.

    Attributes:
        rank: r, multi-indices on either side of a mode. A generation has n r^2 candidates.
    """

    name: ClassVar[str] = "ttopt"
    rank_based: ClassVar[bool] = False
    exchangeable: ClassVar[bool] = False
    host_reads: ClassVar[str] = "index sets are chosen on the CPU"
    state_type: ClassVar[type[TTOptState]] = TTOptState

    rank: int = 4

    def __post_init__(self) -> None:
        at_least(1, "a set has members", rank=self.rank)
        super().__post_init__()

    def population_size(self, space: Space) -> int:
        return self.grid_of(space, torch.empty(0)).size * self.rank**2

    def check(self, space: Space) -> None:
        super().check(space)
        population = self.population_size(space)
        if population > MAX_BLOCK:
            raise Unsupported(
                f"{self.name} measures {population} candidates at once for "
                f"{space.spec.categories} categories at rank {self.rank}, and {MAX_BLOCK} at "
                "most; codes of a power of 2 categories can be split into bits, a lower rank "
                "helps, and `tensor_train` searches any number of categories",
                field="optimizer.name",
            )

    def memory_bytes(self, space: Space, targets: int) -> int:
        grid = self.grid_of(space, torch.empty(0))
        # Two sets of pairs, before and after a tell, and the multi-indices of a block in the forms
        # from which latents are made.
        numbers = 8 * self.rank + 7 * self.population_size(space)
        return super().memory_bytes(space, targets) + 4 * targets * grid.modes * numbers

    def init(self, space: Space, targets: int, stream: Stream) -> TTOptState:
        grid = self.grid_of(space, torch.empty(0))
        counts = self._ranks(grid)
        order = stream.uniform(2, grid.modes, grid.size * self.rank).cpu().numpy()
        sets = np.zeros((2, targets, grid.modes + 1, self.rank, 2), np.int32)
        for j in range(1, grid.modes + 1):
            _random_members(sets[0, :, j], order[:, 0, j - 1], counts[j - 1], grid.size, counts[j])
        for j in range(grid.modes):
            _random_members(sets[1, :, j], order[:, 1, j], counts[j + 1], grid.size, counts[j])
        left, right = torch.from_numpy(sets).to(stream.device)
        return TTOptState(
            left=left,
            right=right,
            best=torch.zeros(targets, grid.modes, dtype=torch.int32, device=stream.device),
            best_score=torch.zeros(targets, dtype=torch.float64, device=stream.device),
            known=torch.zeros(targets, dtype=torch.bool, device=stream.device),
            generation=torch.zeros(targets, dtype=torch.int64, device=stream.device),
        )

    def started_at(self, space: Space, state: TTOptState, latents: torch.Tensor) -> TTOptState:
        """The start is the best multi-index so far, with the lowest score of all: rows that fill up
        a generation vary it. The sets of the sweep remain random.
        """
        like = torch.empty(0, device=state.best_score.device)
        grid = self.grid_of(space, like)
        if space.dtype is None:
            latents = latents.to(like)
        return replace(
            state,
            best=grid.indices(latents.unsqueeze(1))[..., 0].contiguous(),
            best_score=torch.full_like(state.best_score, torch.finfo(torch.float64).min),
            known=torch.ones_like(state.known),
        )

    def ask(self, space: Space, state: TTOptState, stream: Stream) -> torch.Tensor:
        grid = self.grid_of(space, torch.empty(0, device=stream.device, dtype=stream.dtype))
        population = self.population_size(space)
        redraws = stream.uniform(grid.modes, population)
        values = stream.integers(grid.size, grid.modes, population).to(torch.int32)
        redraws = (redraws < 2 / grid.modes) | ~state.known.view(-1, 1, 1)
        rows = torch.where(redraws, values, state.best.unsqueeze(-1))
        for k, block in enumerate(self._blocks(grid, state)):
            rows[k, :, : len(block)] = torch.from_numpy(block.T).to(rows.device)
        return grid.latents(joined(rows, grid.bits))

    def tell(
        self,
        space: Space,
        state: TTOptState,
        latents: torch.Tensor,
        scores: torch.Tensor,
        gradients: torch.Tensor | None = None,
    ) -> TTOptState:
        del gradients
        grid = self.grid_of(space, latents)
        valid = ~scores.isnan()
        values = torch.where(valid, comparable(scores), -torch.inf)
        rows = grid.indices(latents)
        blocks = self._blocks(grid, state)
        for k, block in enumerate(blocks):
            rows[k, :, : len(block)] = torch.from_numpy(block.T).to(rows.device)
        best, row = values.max(-1)
        better = valid.any(-1) & (~state.known | (best > state.best_score))
        found = rows.gather(-1, row.view(-1, 1, 1).expand(-1, grid.modes, 1)).squeeze(-1)
        state.best = torch.where(better.unsqueeze(-1), found, state.best)
        state.best_score = torch.where(better, best, state.best_score)
        state.known = state.known | better
        for k, block in enumerate(blocks):
            heights = _heights(values[k, : len(block)].cpu().numpy(), float(state.best_score[k]))
            if heights.any():
                self._move(grid, state, k, heights)
        state.generation += 1
        return state

    def _move(self, grid: Grid, state: TTOptState, target: int, heights: Floats) -> None:
        """Chooses the index set that follows from a block."""
        mode, rightward = _place(grid.modes, int(state.generation[target]))
        counts = self._ranks(grid)
        before, after = counts[mode], counts[mode + 1]
        if rightward:
            rows = cross.choose(heights.reshape(before * grid.size, after))
            pairs = np.stack((rows // grid.size, rows % grid.size), -1)
            sets = state.left[target, mode + 1]
        else:
            rows = cross.choose(heights.reshape(before, grid.size * after).T)
            pairs = np.stack((rows % after, rows // after), -1)
            sets = state.right[target, mode]
        sets[: len(pairs)] = torch.from_numpy(pairs).to(sets)

    def _blocks(self, grid: Grid, state: TTOptState) -> list[Indices]:
        """(r n r, M) multi-indices that each target measures next."""
        counts = self._ranks(grid)
        blocks = []
        for left, right, generation in zip(
            state.left.cpu().numpy(),
            state.right.cpu().numpy(),
            state.generation.tolist(),
            strict=True,
        ):
            mode, _ = _place(grid.modes, generation)
            heads = cross.prefixes(left, mode, counts[mode])
            tails = cross.suffixes(right, mode + 1, counts[mode + 1])
            head, value, tail = (
                axis.ravel() for axis in np.indices((len(heads), grid.size, len(tails)))
            )
            middle = value.astype(np.int32)[:, None]
            blocks.append(np.concatenate((heads[head], middle, tails[tail]), 1))
        return blocks

    def _ranks(self, grid: Grid) -> list[int]:
        return cross.ranks(grid.modes, grid.size, self.rank)


def _place(modes: int, generation: int) -> tuple[int, bool]:
    """The current mode, and whether the sweep moves to the right."""
    if modes == 1:
        return 0, True
    turn = generation % (2 * (modes - 1))
    return (turn, True) if turn < modes - 1 else (2 * (modes - 1) - turn, False)


def _random_members(
    sets: Indices,
    order: np.ndarray[tuple[int, int], np.dtype[np.floating]],
    next_count: int,
    size: int,
    count: int,
) -> None:
    """Fills sets (K, r, 2) with `count` different pairs (member of the next set, value)."""
    chosen = order[:, : next_count * size].argsort(-1, kind="stable")[:, :count]
    sets[:, :count, 0] = chosen // size
    sets[:, :count, 1] = chosen % size


def _heights(scores: Floats, best: float) -> Floats:
    """exp((score - best) / spread), and 0 for -inf, which are rows that failed."""
    present = scores[scores > -np.inf]
    if not len(present):
        return np.zeros_like(scores)
    with np.errstate(over="ignore"):
        spread = min(present.max() - np.median(present), np.finfo(np.float64).max)
        below = (scores - best) / (spread if spread > 0 else 1.0)
    return np.exp(below)
