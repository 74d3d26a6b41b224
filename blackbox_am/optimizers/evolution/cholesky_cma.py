"""CMA-ES that learns one direction at a time, on the factor of its covariance."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import torch

from blackbox_am.core import linear_algebra
from blackbox_am.core.rng import Stream
from blackbox_am.core.space import Space
from blackbox_am.optimizers._frame import frame_of
from blackbox_am.optimizers._parameters import at_least, positive
from blackbox_am.optimizers._targetwise import for_each, norms, weighted_sum
from blackbox_am.optimizers._weights import Rates, rank, rates
from blackbox_am.optimizers.evolution._factor import power_of_two
from blackbox_am.optimizers.evolution._matrices import KeepsMatrices, identities
from blackbox_am.optimizers.evolution._step_size import adapt, cumulate, keep_effective
from blackbox_am.optimizers.evolution._told import proposals, shorten, steps_of


@dataclass
class CholeskyCMAState:
    """State of K searches, in the frame of the space (see `_frame`).

    Attributes:
        mean: (K, D).
        sigma: (K,) step size.
        path_sigma: (K, D) evolution path of the step size.
        path_c: (K, D) evolution path of the covariance.
        factor: (K, D, D) A, with A' A the covariance: steps are rows z A.
        inverse: (K, D, D) of A.
        generation: (K,) int64, generations told.
    """

    mean: torch.Tensor
    sigma: torch.Tensor
    path_sigma: torch.Tensor
    path_c: torch.Tensor
    factor: torch.Tensor
    inverse: torch.Tensor
    generation: torch.Tensor


@dataclass(frozen=True)
class CholeskyCMA(KeepsMatrices[CholeskyCMAState]):
    """CMA-ES with rank-one updates of the covariance's factor, as used on living neurons.

    Sources: T. Suttorp, N. Hansen and C. Igel, "Efficient Covariance Matrix Update for Variable
    Metric Evolution Strategies" (Machine Learning 75, 2009), the update of A and its inverse;
    B. Wang and C. R. Ponce, "High-Performance Evolutionary Algorithms for
    Online Neuron Control" (GECCO 2022) for the learning rates and the update every 10
    generations. This implementation differs in five things: the first generation is a full
    population, not the starting point alone; rows may be missing, see `_weights`; steps come from
    the latents as told, shortened where they are too long to be samples; powers of two move between
    sigma and A, so that neither overflows; once the axes differ by more than the floating-point
    format can follow, A is made the identity again.

    It learns far more slowly than `cma`, whose rates it does not use: in some thousand queries
    in hundreds of dimensions A stays close to a multiple of the identity.

    Attributes:
        population: candidates a generation, at least 2; 4 + floor(3 log2 D) if None.
        sigma: first step size, in standard deviations of the prior, which are 1 for a
            normal space and width / sqrt(12) for a box.
        mean_learning_rate: how far the mean moves towards the weighted mean of the better
            half; 1 in the sources, above it extrapolates.
        update_every: generations from one update of A to the next.
    """

    name: ClassVar[str] = "cholesky_cma"
    host_reads: ClassVar[str] = "whose factors are due: an update of all of them costs more"
    state_type: ClassVar[type[CholeskyCMAState]] = CholeskyCMAState

    population: int | None = None
    sigma: float = 0.5
    mean_learning_rate: float = 1.0
    update_every: int = 10

    def __post_init__(self) -> None:
        at_least(2, "one row cannot be ranked", population=self.population)
        positive(sigma=self.sigma, mean_learning_rate=self.mean_learning_rate)
        at_least(1, "it counts generations", update_every=self.update_every)
        super().__post_init__()

    def population_size(self, space: Space) -> int:
        if self.population is not None:
            return self.population
        return 4 + math.floor(3 * math.log2(space.dim))

    def fresh(self, space: Space, mean: torch.Tensor, generation: torch.Tensor) -> CholeskyCMAState:
        del space
        return CholeskyCMAState(
            mean=mean,
            sigma=mean.new_full((len(mean),), self.sigma),
            path_sigma=torch.zeros_like(mean),
            path_c=torch.zeros_like(mean),
            factor=identities(mean),
            inverse=identities(mean),
            generation=generation,
        )

    def ask(self, space: Space, state: CholeskyCMAState, stream: Stream) -> torch.Tensor:
        normal = stream.normal(self.population_size(space), space.dim)
        steps = for_each(linear_algebra.matmul, normal, state.factor)
        sigma = state.sigma.unsqueeze(-1)
        return proposals(frame_of(space, state.mean), state.mean, sigma, steps)

    def tell(
        self,
        space: Space,
        state: CholeskyCMAState,
        latents: torch.Tensor,
        scores: torch.Tensor,
        gradients: torch.Tensor | None = None,
    ) -> CholeskyCMAState:
        del gradients
        dim = space.dim
        frame = frame_of(space, state.mean)
        ranked = rank(
            scores, dim, state.mean.dtype, active=False, diagonal=False, law=published_rates
        )
        sigma = state.sigma.unsqueeze(-1)
        steps = steps_of(frame, latents, state.mean, sigma, ranked.valid)
        white = for_each(linear_algebra.matmul, steps, state.inverse)
        shrink, _ = shorten(white, dim)
        move = weighted_sum(ranked.weights * shrink, steps)
        white_move = weighted_sum(ranked.weights * shrink, white)
        mean_step = (self.mean_learning_rate * state.sigma).unsqueeze(-1) * move
        mean = frame.settle(state.mean + mean_step, self.prior_pull)
        path_sigma = cumulate(state.path_sigma, ranked.sigma_kept, ranked.sigma_gain, white_move)
        told = CholeskyCMAState(
            mean=mean,
            sigma=adapt(state.sigma, norms(path_sigma), ranked, dim),
            path_sigma=path_sigma,
            path_c=cumulate(state.path_c, ranked.c_kept, ranked.c_gain, move),
            factor=state.factor,
            inverse=state.inverse,
            generation=state.generation + 1,
        )
        self._learn(told, learning_rate(dim))
        told.sigma = keep_effective(told.sigma, told.mean)
        return told

    def _learn(self, state: CholeskyCMAState, c_1: float) -> None:
        """Brings the path into the factors that are due, in place.

        K numbers are read back to the host to know which factors are due.
        """
        for k, generation in enumerate(state.generation.tolist()):
            if generation % self.update_every:
                continue
            factor, inverse, path = state.factor[k], state.inverse[k], state.path_c[k]
            add_direction(factor, inverse, path, c_1)
            if bool(linear_algebra.inverts_badly(factor, inverse)):
                identity = torch.eye(len(path), device=path.device, dtype=path.dtype)
                factor.copy_(identity)
                inverse.copy_(identity)
            unit = power_of_two(factor.abs().amax())
            factor /= unit
            inverse *= unit
            path /= unit
            state.sigma[k] *= unit


def learning_rate(dim: int) -> float:
    """c_1, the share of the covariance that one update replaces, for `dim` dimensions."""
    return 2 / (dim + math.sqrt(2)) ** 2


def add_direction(
    factor: torch.Tensor, inverse: torch.Tensor, path: torch.Tensor, c_1: float
) -> None:
    """Makes C = A' A into (1 - c_1) C + c_1 p' p for a row p (D,), A and its inverse in place.

    With v = p A^-1 and r = c_1 / (1 - c_1) |v|^2, A becomes
    sqrt(1 - c_1) (A + (sqrt(1 + r) - 1) / |v|^2 v' p). The fractions are written so that
    nothing is divided by |v|, which may be 0.
    """
    keep = math.sqrt(1 - c_1)
    ratio = c_1 / (1 - c_1)
    v = linear_algebra.matmul(path, inverse)
    root = (1 + ratio * v.square().sum()).sqrt()
    back = linear_algebra.matmul(inverse, v)
    factor.addr_(v * (ratio / (root + 1)), path).mul_(keep)
    inverse.addr_(back * (-ratio / (root * (root + 1))), v).div_(keep)


def published_rates(population: int, dim: int, *, active: bool, diagonal: bool) -> Rates:
    """The constants of `_weights.rates`, with the sources' for the step size and the path."""
    r = rates(population, dim, active=active, diagonal=diagonal)
    root = math.sqrt(r.mu_eff)
    c_sigma = root / (root + math.sqrt(dim))
    excess = max(0.0, math.sqrt((r.mu_eff - 1) / (dim + 1)) - 1)
    return replace(r, c_sigma=c_sigma, d_sigma=1 + c_sigma + 2 * excess, c_c=4 / (dim + 4))
