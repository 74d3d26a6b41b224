"""CMA-ES with a diagonal covariance matrix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch

from blackbox_am.core.rng import Stream
from blackbox_am.core.space import Space
from blackbox_am.optimizers._frame import frame_of
from blackbox_am.optimizers._targetwise import norms
from blackbox_am.optimizers._weights import Ranked
from blackbox_am.optimizers.evolution import _two_point as two_point
from blackbox_am.optimizers.evolution._evolution import EvolutionStrategy, kept_share
from blackbox_am.optimizers.evolution._factor import power_of_two
from blackbox_am.optimizers.evolution._step_size import adapt, cumulate, is_steady, keep_effective
from blackbox_am.optimizers.evolution._told import drawn, moments

MIN_RATIO = 1e-14
"""The smallest allowed ratio of the smallest to the largest variance: a ratio of steps of 1e-7."""


@dataclass
class SepCMAState:
    """State of K searches, in the frame of the space (see `_frame`).

    Attributes:
        mean: (K, D).
        sigma: (K,) step size.
        path_sigma: (K, D) evolution path of the step size; with two-point adaptation the last move
            of the mean instead.
        trend: (K,) average of the signals of two-point adaptation; 0 without it.
        path_c: (K, D) evolution path of the variances.
        variances: (K, D) diagonal of the covariance, the largest in [1, 4).
        generation: (K,) int64, generations told.
    """

    mean: torch.Tensor
    sigma: torch.Tensor
    path_sigma: torch.Tensor
    trend: torch.Tensor
    path_c: torch.Tensor
    variances: torch.Tensor
    generation: torch.Tensor


@dataclass(frozen=True)
class SepCMA(EvolutionStrategy[SepCMAState]):
    """CMA-ES that learns one variance a coordinate: linear in time and memory.

    For latents of more than a few hundred dimensions. It learns about D / 3 times faster than
    `cma`. It cannot learn correlations, which take more queries at such dimensions than most
    searches have.

    Source: R. Ros and N. Hansen, "A Simple Modification in CMA-ES Achieving Linear Time and
    Space Complexity" (PPSN 2008). This implementation adds the negative weights of the later
    tutorial (arXiv:1604.00772v2), and learns from the rows that came back, see `_weights`.

    Attributes:
        step_size: how the step size follows the scores: `csa` by the length of the evolution path,
            `tpa` by two rows of each generation that test the last move, see `_two_point`. If
            None, `tpa` from 300 dimensions on, where the path is short-lived against the search,
            and `csa` below. A population of fewer than 4 rows always uses `csa`.
    """

    name: ClassVar[str] = "sep_cma"
    diagonal: ClassVar[bool] = True
    exchangeable: ClassVar[bool] = False  # the first two rows may test the last move
    state_type: ClassVar[type[SepCMAState]] = SepCMAState

    step_size: Literal["csa", "tpa"] | None = None

    def fresh(self, space: Space, mean: torch.Tensor, generation: torch.Tensor) -> SepCMAState:
        return SepCMAState(
            mean=mean,
            sigma=mean.new_full((len(mean),), self._first_sigma(space)),
            path_sigma=torch.zeros_like(mean),
            trend=mean.new_zeros(len(mean)),
            path_c=torch.zeros_like(mean),
            variances=torch.ones_like(mean),
            generation=generation,
        )

    def ask(self, space: Space, state: SepCMAState, stream: Stream) -> torch.Tensor:
        spread = state.sigma.unsqueeze(-1) * state.variances.sqrt()
        frame = frame_of(space, state.mean)
        rows = drawn(frame, state.mean, spread, stream, self.population_size(space))
        if self._tests_moves(space):
            ahead = spread * two_point.sample_length(state.path_sigma / spread)
            two_point.place_tests(frame, rows, state.mean, ahead)
        return rows

    def tell(
        self,
        space: Space,
        state: SepCMAState,
        latents: torch.Tensor,
        scores: torch.Tensor,
        gradients: torch.Tensor | None = None,
    ) -> SepCMAState:
        del gradients
        frame = frame_of(space, state.mean)
        ranked = self._rank(space, scores, state.mean.dtype)
        deviations = state.variances.sqrt()
        spread = state.sigma.unsqueeze(-1) * deviations
        better = ranked.weights.clamp(min=0)
        white_move, squares = moments(
            frame, latents, state.mean, spread, better, ranked.weights, balanced=True
        )
        move = deviations * white_move
        mean = self._moved(space, frame, state.mean, state.sigma, move)
        adapted = self._adapted(space, state, ranked, scores, mean, white_move)
        path_sigma, trend, sigma, steady = adapted
        path_c = cumulate(state.path_c, ranked.c_kept, ranked.c_gain, steady.unsqueeze(-1) * move)

        spread_of_rows = ranked.c_mu.unsqueeze(-1) * squares
        learnt = kept_share(ranked, steady).unsqueeze(-1) + spread_of_rows
        variances = learnt * state.variances + ranked.c_1.unsqueeze(-1) * path_c.square()
        largest = variances.amax(dim=-1, keepdim=True)
        unit = power_of_two(largest.sqrt())
        return SepCMAState(
            mean=mean,
            sigma=keep_effective(sigma * unit[:, 0], mean),
            path_sigma=path_sigma,
            trend=trend,
            path_c=path_c / unit,
            variances=torch.maximum(variances, MIN_RATIO * largest) / unit.square(),
            generation=state.generation + 1,
        )

    def _usual(self, space: Space) -> tuple[float, float]:
        return (1.0, 1.0) if self._tests_moves(space) else super()._usual(space)

    def _tests_moves(self, space: Space) -> bool:
        """Whether the first two rows of a generation test the last move."""
        usual = "tpa" if space.dim >= two_point.FEWEST_DIMENSIONS else "csa"
        wanted = self.step_size or usual
        return wanted == "tpa" and self.population_size(space) >= two_point.LEAST

    def _adapted(
        self,
        space: Space,
        state: SepCMAState,
        ranked: Ranked,
        scores: torch.Tensor,
        mean: torch.Tensor,
        white_move: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """The new `path_sigma`, `trend` and `sigma`, and (K,) 1 where the path of the variances
        goes on, 0 where it halts.
        """
        if self._tests_moves(space):
            moved = (state.path_sigma != 0).any(-1)
            trend = two_point.averaged(state.trend, two_point.signal(scores, moved))
            growth = torch.exp(trend / two_point.damping(space.dim))
            return mean - state.mean, trend, state.sigma * growth, torch.ones_like(trend)
        path = cumulate(state.path_sigma, ranked.sigma_kept, ranked.sigma_gain, white_move)
        length = norms(path)
        steady = is_steady(length, ranked, state.generation, space.dim)
        return path, state.trend, adapt(state.sigma, length, ranked, space.dim), steady
