"""CMA-ES with a full covariance matrix."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch

from blackbox_am.core import linear_algebra
from blackbox_am.core.rng import Stream
from blackbox_am.core.space import Space
from blackbox_am.optimizers._frame import frame_of
from blackbox_am.optimizers._targetwise import for_each, norms, weighted_sum
from blackbox_am.optimizers._weights import Ranked, rates
from blackbox_am.optimizers.evolution._evolution import (
    EvolutionStrategy,
    covariance_weights,
    kept_share,
)
from blackbox_am.optimizers.evolution._factor import factor, power_of_two
from blackbox_am.optimizers.evolution._matrices import KeepsMatrices, identities
from blackbox_am.optimizers.evolution._step_size import adapt, cumulate, is_steady, keep_effective
from blackbox_am.optimizers.evolution._told import proposals, shorten, steps_of
from blackbox_am.optimizers.evolution._triangular import add_outer, times_factor


@dataclass
class CMAState:
    """State of K searches, in the frame of the space (see `_frame`).

    Attributes:
        mean: (K, D).
        sigma: (K,) step size.
        path_sigma: (K, D) evolution path of the step size.
        path_c: (K, D) evolution path of the covariance.
        covariance: (K, D, D), of which only the lower triangle is used.
        factor: (K, D, D) lower A, with A A^T the covariance when it was last factored.
        generation: (K,) int64, generations told.
    """

    mean: torch.Tensor
    sigma: torch.Tensor
    path_sigma: torch.Tensor
    path_c: torch.Tensor
    covariance: torch.Tensor
    factor: torch.Tensor
    generation: torch.Tensor


@dataclass(frozen=True)
class CMA(KeepsMatrices[CMAState], EvolutionStrategy[CMAState]):
    """CMA-ES: learns the mean, the step size and all pairwise covariances.

    For up to about 500 dimensions. Above, few budgets are large enough to learn the covariance, and
    `sep_cma` finds equal scores with a fraction of the memory.

    Source: N. Hansen, "The CMA Evolution Strategy: A Tutorial" (arXiv:1604.00772v2, 2023),
    with active (negative) weights. This implementation differs in four things:

    - A is the lower Cholesky factor of C, not its symmetric square root: steps are A z, and
      the step-size path whitens with A^-1 by a triangular solve. The two differ by a
      rotation, so each step has the same distribution and each whitened move the same length. The
      rotation changes with C, which affects the accumulated path only, and slowly.
    - A is renewed every max(1, floor(1 / (10 D (c_1 + c_mu)))) generations.
    - Rows may be missing, see `_weights`; steps come from the latents as told.
    - Where rounding has cost C its positive definiteness, its diagonal is raised, see
      `_factor`. Powers of two move between sigma and C, so that neither overflows.
    """

    name: ClassVar[str] = "cma"
    diagonal: ClassVar[bool] = False
    host_reads: ClassVar[str] = (
        "which factors are due, and whether they failed: a factorisation costs more"
    )
    state_type: ClassVar[type[CMAState]] = CMAState

    def fresh(self, space: Space, mean: torch.Tensor, generation: torch.Tensor) -> CMAState:
        return CMAState(
            mean=mean,
            sigma=mean.new_full((len(mean),), self._first_sigma(space)),
            path_sigma=torch.zeros_like(mean),
            path_c=torch.zeros_like(mean),
            covariance=identities(mean),
            factor=identities(mean),
            generation=generation,
        )

    def ask(self, space: Space, state: CMAState, stream: Stream) -> torch.Tensor:
        normal = stream.normal(self.population_size(space), space.dim)
        steps = for_each(times_factor, normal, state.factor)
        sigma = state.sigma.unsqueeze(-1)
        return proposals(frame_of(space, state.mean), state.mean, sigma, steps)

    def tell(
        self,
        space: Space,
        state: CMAState,
        latents: torch.Tensor,
        scores: torch.Tensor,
        gradients: torch.Tensor | None = None,
    ) -> CMAState:
        del gradients
        dim = space.dim
        frame = frame_of(space, state.mean)
        ranked = self._rank(space, scores, state.mean.dtype)
        sigma = state.sigma.unsqueeze(-1)
        steps = steps_of(frame, latents, state.mean, sigma, ranked.valid)
        white = for_each(_whitened, state.factor, steps)
        shrink, squared = shorten(white, dim)

        better = ranked.weights.clamp(min=0) * shrink
        move = weighted_sum(better, steps)
        mean = self._moved(space, frame, state.mean, state.sigma, move)
        white_move = weighted_sum(better, white)
        path_sigma = cumulate(state.path_sigma, ranked.sigma_kept, ranked.sigma_gain, white_move)
        length = norms(path_sigma)
        steady = is_steady(length, ranked, state.generation, dim)
        drift = cumulate(state.path_c, ranked.c_kept, ranked.c_gain, steady.unsqueeze(-1) * move)
        told = CMAState(
            mean=mean,
            sigma=adapt(state.sigma, length, ranked, dim),
            path_sigma=path_sigma,
            path_c=drift,
            covariance=state.covariance,
            factor=state.factor,
            generation=state.generation + 1,
        )
        added = covariance_weights(ranked.weights, squared, dim) * shrink.square()
        _learn(told, ranked, added, kept_share(ranked, steady), steps)
        self._refresh(space, told, scores.shape[-1])
        told.sigma = keep_effective(told.sigma, told.mean)
        return told

    def generations_between_factors(self, space: Space, population: int) -> int:
        """Generations from one factorisation of the covariance to the next.

        Args:
            space: the latent space.
            population: rows in a generation.
        """
        active = self._uses_negative_weights(space)
        r = rates(population, space.dim, active=active, diagonal=self.diagonal)
        return max(1, math.floor(1 / (10 * space.dim * (r.c_1 + r.c_mu))))

    def _refresh(self, space: Space, state: CMAState, population: int) -> None:
        """Renews the factors that are due, in place.

        Where factors are not renewed in every generation, K numbers are read back to the host to
        know which are due: a factorisation costs far more.
        """
        interval = self.generations_between_factors(space, population)
        if interval == 1:
            due = torch.arange(len(state.mean), device=state.mean.device)
        else:
            due = (state.generation % interval == 0).nonzero()[:, 0]
        if len(due) == 0:
            return
        everyone = len(due) == len(state.mean)
        covariance = (state.covariance if everyone else state.covariance[due]).tril_()
        unit = power_of_two(covariance.diagonal(dim1=1, dim2=2).amax(-1).sqrt())
        state.sigma[due] *= unit
        state.path_c[due] /= unit.unsqueeze(-1)
        covariance /= unit.square().view(-1, 1, 1)
        if everyone:
            state.factor = factor(covariance).contiguous()
        else:
            state.factor[due] = factor(covariance)
            state.covariance[due] = covariance


def _whitened(factor: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
    """(P, D): A^-1 applied to every one of `steps` (P, D)."""
    return linear_algebra.solve_triangular(factor, steps.T, upper=False).T


def _learn(
    state: CMAState, ranked: Ranked, added: torch.Tensor, kept: torch.Tensor, steps: torch.Tensor
) -> None:
    """The rank-one and the rank-mu update of C in place, each target as one matrix product.

    Equation 47 of the tutorial; `added` and `kept` are those of `_evolution`. On the CPU the
    product scales the old C as well, by numbers that are read; elsewhere C is scaled before.
    """
    if kept.device.type == "cpu":
        scales = kept.tolist()
    else:
        state.covariance.mul_(kept.view(-1, 1, 1))
        scales = [1.0] * len(kept)
    rows = torch.cat([steps, state.path_c.unsqueeze(1)], dim=1)
    share = torch.cat([ranked.c_mu.unsqueeze(-1) * added, ranked.c_1.unsqueeze(-1)], dim=1)
    for k, old in enumerate(scales):
        add_outer(state.covariance[k], old, share[k], rows[k])
