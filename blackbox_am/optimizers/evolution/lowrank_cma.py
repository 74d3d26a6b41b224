"""CMA-ES with variances and a few directions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch

from blackbox_am.core import linear_algebra
from blackbox_am.core.rng import Stream
from blackbox_am.core.space import Space
from blackbox_am.optimizers._frame import frame_of
from blackbox_am.optimizers._parameters import at_least
from blackbox_am.optimizers._targetwise import for_each, norms, weighted_sum
from blackbox_am.optimizers._weights import Rates, rank, rates
from blackbox_am.optimizers.evolution._evolution import (
    EvolutionStrategy,
    covariance_weights,
    kept_share,
)
from blackbox_am.optimizers.evolution._factor import power_of_two
from blackbox_am.optimizers.evolution._step_size import adapt, cumulate, is_steady, keep_effective
from blackbox_am.optimizers.evolution._told import proposals, shorten, steps_of

MIN_RATIO = 1e-7
"""The smallest allowed ratio of the smallest to the largest deviation."""
MAX_SHRINKAGE = 1e-3
"""The least factor on a variance in one generation."""
DIRECTIONS_HELD = 9
"""Sets of directions that a tell holds at once: the former and the new ones, and those with the
rows of the generation from which the new ones are made.
"""


@dataclass
class LowRankCMAState:
    """State of K searches, in the frame of the space (see `_frame`).

    The covariance is S (I + U' diag(excess) U) S, with S the diagonal of `deviations` and the
    rows of U, which is `axes`, orthonormal.

    Attributes:
        mean: (K, D).
        sigma: (K,) step size.
        path_sigma: (K, D) evolution path of the step size.
        path_c: (K, D) evolution path of the covariance.
        deviations: (K, D), the largest in [1, 2).
        axes: (K, R, D) long directions.
        excess: (K, R) the variance along each direction, minus 1.
        generation: (K,) int64, generations told.
    """

    mean: torch.Tensor
    sigma: torch.Tensor
    path_sigma: torch.Tensor
    path_c: torch.Tensor
    deviations: torch.Tensor
    axes: torch.Tensor
    excess: torch.Tensor
    generation: torch.Tensor


@dataclass(frozen=True)
class LowRankCMA(EvolutionStrategy[LowRankCMAState]):
    """CMA-ES that learns one variance a coordinate and a few directions of long steps.

    A compromise between `sep_cma`, which learns no correlations, and `cma`, whose matrix has D^2
    numbers: memory is linear in D, and time is D (R + P)^2 a generation, for R directions and P
    candidates.

    Source: Y. Akimoto and N. Hansen, "Projection-Based Restricted Covariance Matrix Adaptation
    for High Dimension" (GECCO 2016), VkD-CMA: the covariance that `cma` would go to is projected
    on this model: its leading eigenvectors in coordinates scaled by S, the mean of its other
    eigenvalues, and its diagonal. This implementation differs in four things:

    - R is constant; the source's successor adapts R.
    - The rates are those of `sep_cma` times 3 / (R + 3), the ratio of the numbers to be learnt,
      with the negative weights of the CMA-ES tutorial (arXiv:1604.00772v2).
    - Cumulative step-size adaptation, where the source adapts in two points.
    - Rows may be missing, see `_weights`; steps come from the latents as told.

    Measured in 64 dimensions at the textbook's mean learning rate: a rotated cigar of condition
    1e6 takes 18,400 rows to 1e-6 (`cma` 22,200; `sep_cma` is not there after 50,000), a rotated
    ellipsoid of condition 1e3 some 50,000 (`cma` 30,100; `sep_cma` likewise not).

    Attributes:
        directions: R, at least 1 and at most D; 4 + floor(3 ln D) if None.
    """

    name: ClassVar[str] = "lowrank_cma"
    diagonal: ClassVar[bool] = True
    host_reads: ClassVar[str] = "torch checks whether the eigendecompositions converged"
    state_type: ClassVar[type[LowRankCMAState]] = LowRankCMAState

    directions: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(1, "`sep_cma` learns none", directions=self.directions)

    def number_of_directions(self, space: Space) -> int:
        """R."""
        wanted = 4 + math.floor(3 * math.log(space.dim))
        return min(space.dim, wanted if self.directions is None else self.directions)

    def memory_bytes(self, space: Space, targets: int) -> int:
        directions = 4 * targets * self.number_of_directions(space) * space.dim
        return super().memory_bytes(space, targets) + DIRECTIONS_HELD * directions

    def fresh(self, space: Space, mean: torch.Tensor, generation: torch.Tensor) -> LowRankCMAState:
        count = self.number_of_directions(space)
        axes = torch.eye(count, space.dim, device=mean.device, dtype=mean.dtype)
        return LowRankCMAState(
            mean=mean,
            sigma=mean.new_full((len(mean),), self._first_sigma(space)),
            path_sigma=torch.zeros_like(mean),
            path_c=torch.zeros_like(mean),
            deviations=torch.ones_like(mean),
            axes=axes.repeat(len(mean), 1, 1),
            excess=mean.new_zeros(len(mean), count),
            generation=generation,
        )

    def ask(self, space: Space, state: LowRankCMAState, stream: Stream) -> torch.Tensor:
        normal = stream.normal(self.population_size(space), space.dim)
        longer = (1 + state.excess).sqrt() - 1
        steps = for_each(_stretched, normal, state.axes, longer)
        spread = state.sigma.unsqueeze(-1) * state.deviations
        return proposals(frame_of(space, state.mean), state.mean, spread, steps)

    def tell(
        self,
        space: Space,
        state: LowRankCMAState,
        latents: torch.Tensor,
        scores: torch.Tensor,
        gradients: torch.Tensor | None = None,
    ) -> LowRankCMAState:
        del gradients
        dim = space.dim
        frame = frame_of(space, state.mean)
        ranked = rank(
            scores,
            dim,
            state.mean.dtype,
            active=self._uses_negative_weights(space),
            diagonal=True,
            law=LowRankRates(state.axes.shape[1]),
        )
        spread = state.sigma.unsqueeze(-1) * state.deviations
        steps = steps_of(frame, latents, state.mean, spread, ranked.valid)
        shorter = (1 + state.excess).rsqrt() - 1
        white = for_each(_stretched, steps, state.axes, shorter)
        shrink, squared = shorten(white, dim)

        better = ranked.weights.clamp(min=0) * shrink
        move = state.deviations * weighted_sum(better, steps)
        mean = self._moved(space, frame, state.mean, state.sigma, move)
        white_move = weighted_sum(better, white)
        path_sigma = cumulate(state.path_sigma, ranked.sigma_kept, ranked.sigma_gain, white_move)
        length = norms(path_sigma)
        steady = is_steady(length, ranked, state.generation, dim)
        path_c = cumulate(state.path_c, ranked.c_kept, ranked.c_gain, steady.unsqueeze(-1) * move)

        # The new covariance, in coordinates scaled by S: kept I + rows' diag(share) rows.
        kept = kept_share(ranked, steady)
        added = covariance_weights(ranked.weights, squared, dim) * shrink.square()
        rows = torch.cat([state.axes, (path_c / state.deviations).unsqueeze(1), steps], dim=1)
        share = torch.cat(
            [
                kept.unsqueeze(-1) * state.excess,
                ranked.c_1.unsqueeze(-1),
                ranked.c_mu.unsqueeze(-1) * added,
            ],
            dim=1,
        )
        leading = for_each(_leading, rows, share, state.axes)
        axes, values, others = leading[..., :-2], leading[..., -2], leading[..., :1, -1]
        level = torch.maximum(kept.unsqueeze(-1) + others, MAX_SHRINKAGE * kept.unsqueeze(-1))
        limit = 1e-4 / torch.finfo(mean.dtype).eps ** 2  # beyond, whitening is lost in rounding
        excess = ((kept.unsqueeze(-1) + values) / level - 1).clamp(0.0, limit)
        variances = kept.unsqueeze(-1) + weighted_sum(share, rows.square_())
        modelled = 1 + weighted_sum(excess, axes.square())
        deviations = state.deviations * (variances / modelled).clamp(min=MAX_SHRINKAGE).sqrt()
        largest = deviations.amax(dim=-1, keepdim=True)
        unit = power_of_two(largest)
        sigma = adapt(state.sigma, length, ranked, dim) * unit[:, 0]
        return LowRankCMAState(
            mean=mean,
            sigma=keep_effective(sigma, mean),
            path_sigma=path_sigma,
            path_c=path_c / unit,
            deviations=torch.maximum(deviations, MIN_RATIO * largest) / unit,
            axes=axes.contiguous(),
            excess=excess,
            generation=state.generation + 1,
        )


@dataclass(frozen=True)
class LowRankRates:
    """The constants of `_weights.rates` where `directions` are learnt with the variances."""

    directions: int

    def __call__(self, population: int, dim: int, *, active: bool, diagonal: bool) -> Rates:
        return rates(population, dim, active=active, diagonal=diagonal, directions=self.directions)


def _stretched(rows: torch.Tensor, axes: torch.Tensor, by: torch.Tensor) -> torch.Tensor:
    """(P, D): `rows` (P, D), 1 + `by` (R,) times as long along the `axes` (R, D)."""
    return linear_algebra.addmm(rows, linear_algebra.matmul(rows, axes.T) * by, axes)


def _leading(rows: torch.Tensor, share: torch.Tensor, axes: torch.Tensor) -> torch.Tensor:
    """(R, D + 2): the R leading eigenvectors of rows' diag(share) rows, for `rows` (N, D) and
    `share` (N,); R is the number of `axes` (R, D). Each eigenvector is followed by its eigenvalue
    and by the mean of the D - R other eigenvalues.

    With rows' = Q T, they are those of the small T diag(share) T', turned by Q. These eigenvectors
    are computed in float64, since the leading eigenvalues may exceed the others by more than single
    precision can represent.
    """
    q, triangle = linear_algebra.qr(rows.T)
    small = triangle.to(torch.float64)
    values, vectors = linear_algebra.eigh(linear_algebra.matmul(small * share, small.T))
    count = len(axes)
    found = linear_algebra.matmul(q, vectors[:, -count:].to(q.dtype)).T
    others = values[:-count].sum() / max(1, rows.shape[1] - count)
    columns = [values[-count:], others.expand(count)]
    return torch.cat([found, torch.stack(columns, dim=1).to(q.dtype)], dim=1)
