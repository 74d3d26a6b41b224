"""Exponential natural evolution strategy."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch

from blackbox_am.core import linear_algebra
from blackbox_am.core.rng import Stream
from blackbox_am.core.space import Space
from blackbox_am.optimizers._frame import frame_of
from blackbox_am.optimizers._parameters import at_least, positive
from blackbox_am.optimizers._targetwise import for_each, row_sums, weighted_sum
from blackbox_am.optimizers.evolution._matrices import KeepsMatrices, identities
from blackbox_am.optimizers.evolution._ranks import log_utilities
from blackbox_am.optimizers.evolution._step_size import keep_effective
from blackbox_am.optimizers.evolution._told import proposals, shorten, steps_of


@dataclass
class XNESState:
    """State of K searches, in the frame of the space (see `_frame`).

    Attributes:
        mean: (K, D).
        sigma: (K,) step size.
        shape: (K, D, D) B, of determinant 1: samples are mean + sigma B s, s standard normal.
        generation: (K,) int64, generations told.
    """

    mean: torch.Tensor
    sigma: torch.Tensor
    shape: torch.Tensor
    generation: torch.Tensor


@dataclass(frozen=True)
class XNES(KeepsMatrices[XNESState]):
    """Exponential natural evolution strategy: learns the mean, the step size and all pairwise
    covariances along the natural gradient of the expected rank.

    For up to a few hundred dimensions: time grows with the cube of D. Above, use `snes`.

    Source: T. Glasmachers, T. Schaul, S. Yi, D. Wierstra and J. Schmidhuber, "Exponential
    Natural Evolution Strategies" (GECCO 2010), Algorithm 1. This implementation differs in six
    things:

    - The exponential of the D x D gradient of B, which is a multiple of the identity and a
      part of rank P, is taken on that part, through a QR and a P x P eigenproblem.
    - Steps come from the latents as told, and are shortened where they are too long to be
      samples. A generation changes the logarithm of no axis by more than 1.
    - Rows may be missing, see `_ranks`.
    - The step size learns faster than the shape, see `sigma_learning_rate`.
    - The utilities that step size and shape learn from are not centred, as in `snes` (measured:
      with centred ones the corner of a box is never reached).
    - Once the axes differ by more than the floating-point format can invert, B is made the
      identity again.

    Attributes:
        population: candidates a generation, at least 2; 4 + floor(3 ln D) if None.
        sigma: first step size, in standard deviations of the prior, which are 1 for a
            normal space and width / sqrt(12) for a box.
        mean_learning_rate: eta_mu, 1 in the paper.
        sigma_learning_rate: eta_sigma; twice the default of eta_B if None. The paper's is
            that of eta_B. Measured on a sphere and a badly scaled ellipsoid in 16 dimensions,
            twice of it halves the rows needed, and with four times of it the ellipsoid is lost.
        shape_learning_rate: eta_B; the paper's 3 (3 + ln D) / (5 D sqrt(D)) if None.
    """

    name: ClassVar[str] = "xnes"
    matrices: ClassVar[int] = 5
    host_reads: ClassVar[str] = "torch checks whether the eigendecompositions converged"
    state_type: ClassVar[type[XNESState]] = XNESState

    population: int | None = None
    sigma: float = 0.5
    mean_learning_rate: float = 1.0
    sigma_learning_rate: float | None = None
    shape_learning_rate: float | None = None

    def __post_init__(self) -> None:
        at_least(2, "one row cannot be ranked", population=self.population)
        positive(
            sigma=self.sigma,
            mean_learning_rate=self.mean_learning_rate,
            sigma_learning_rate=self.sigma_learning_rate,
            shape_learning_rate=self.shape_learning_rate,
        )
        super().__post_init__()

    def population_size(self, space: Space) -> int:
        if self.population is not None:
            return self.population
        return 4 + math.floor(3 * math.log(space.dim))

    def fresh(self, space: Space, mean: torch.Tensor, generation: torch.Tensor) -> XNESState:
        del space
        return XNESState(
            mean=mean,
            sigma=mean.new_full((len(mean),), self.sigma),
            shape=identities(mean),
            generation=generation,
        )

    def ask(self, space: Space, state: XNESState, stream: Stream) -> torch.Tensor:
        normal = stream.normal(self.population_size(space), space.dim)
        steps = for_each(lambda s, b: linear_algebra.matmul(s, b.T), normal, state.shape)
        sigma = state.sigma.unsqueeze(-1)
        return proposals(frame_of(space, state.mean), state.mean, sigma, steps)

    def tell(
        self,
        space: Space,
        state: XNESState,
        latents: torch.Tensor,
        scores: torch.Tensor,
        gradients: torch.Tensor | None = None,
    ) -> XNESState:
        del gradients
        dim = space.dim
        frame = frame_of(space, state.mean)
        utilities, weights = log_utilities(scores, state.mean.dtype)
        sigma = state.sigma.unsqueeze(-1)
        moves = steps_of(frame, latents, state.mean, sigma, ~scores.isnan())
        shape, inverse = _inverted(state.shape)
        steps = for_each(lambda s, b: linear_algebra.matmul(s, b.T), moves, inverse)
        shrink, squares = shorten(steps, dim)
        steps = steps * shrink.unsqueeze(-1)

        ahead = weighted_sum(utilities, steps)
        turned = for_each(lambda b, s: (b * s).sum(-1), shape, ahead)
        trace = row_sums(weights * squares) / dim
        rate = self.sigma_learning_rate or 2 * shape_rate(dim)
        step = self.mean_learning_rate * state.sigma.unsqueeze(-1) * turned
        mean = frame.settle(state.mean + step, self.prior_pull)
        sigma = state.sigma * torch.exp((rate / 2 * (trace - row_sums(weights))).clamp(-1.0, 1.0))
        rate = self.shape_learning_rate or shape_rate(dim)
        return XNESState(
            mean=mean,
            sigma=keep_effective(sigma, mean),
            shape=for_each(_turned, shape, steps, rate / 2 * weights, rate / 2 * trace),
            generation=state.generation + 1,
        )


def shape_rate(dim: int) -> float:
    """The published learning rate of B in `dim` dimensions."""
    return 3 * (3 + math.log(dim)) / (5 * dim * math.sqrt(dim))


def _inverted(shape: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """B and its inverse (K, D, D); both the identity where B cannot be inverted well."""
    inverse = for_each(linear_algebra.inverse, shape)
    bad = linear_algebra.inverts_badly(shape, inverse).view(-1, 1, 1)
    identity = torch.eye(shape.shape[-1], device=shape.device, dtype=shape.dtype)
    return torch.where(bad, identity, shape), torch.where(bad, identity, inverse)


def _turned(
    shape: torch.Tensor, steps: torch.Tensor, weights: torch.Tensor, trace: torch.Tensor
) -> torch.Tensor:
    """(D, D): B exp(sum_k w_k s_k s_k' - trace I), for steps (P, D) and weights (P,).

    With S' = Q R for the steps S, the sum is Q (R W R') Q', whose exponential differs from the
    identity on the columns of Q alone.
    """
    q, r = linear_algebra.qr(steps.T)
    values, vectors = linear_algebra.eigh(linear_algebra.matmul(r * weights, r.T))
    axes = linear_algebra.matmul(q, vectors)
    limit = values.abs().amax().clamp(min=1.0)  # limits all axes, so that the determinant stays 1
    growth = torch.expm1(values / limit)
    stretched = linear_algebra.matmul(shape, axes) * growth
    return torch.exp(-trace / limit) * linear_algebra.addmm(shape, stretched, axes.T)
