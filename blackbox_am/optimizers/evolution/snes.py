"""Separable natural evolution strategy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from blackbox_am.core.rng import Stream
from blackbox_am.core.space import Space
from blackbox_am.optimizers._frame import frame_of
from blackbox_am.optimizers._parameters import at_least, positive
from blackbox_am.optimizers._targetwise import row_sums
from blackbox_am.optimizers.evolution._ranks import log_utilities, sigma_rate
from blackbox_am.optimizers.evolution._start import StartsAtMean
from blackbox_am.optimizers.evolution._step_size import MAX_STEP, MIN_STEP
from blackbox_am.optimizers.evolution._told import drawn, moments


@dataclass
class SNESState:
    """State of K searches, in the frame of the space (see `_frame`).

    Attributes:
        mean: (K, D).
        sigma: (K, D) a step size for each coordinate.
        generation: (K,) int64, generations told.
    """

    mean: torch.Tensor
    sigma: torch.Tensor
    generation: torch.Tensor


@dataclass(frozen=True)
class SNES(StartsAtMean[SNESState]):
    """Separable natural evolution strategy: a mean and one step size a coordinate, both moved
    along the natural gradient of the expected rank. Linear in time and memory.

    Source: T. Schaul, T. Glasmachers and J. Schmidhuber, "High Dimensions and Heavy Tails for
    Natural Evolution Strategies" (GECCO 2011), Algorithm 1 (SNES): for steps s_k with
    utilities u_k, mu <- mu + eta_mu sigma sum_k u_k s_k and
    sigma <- sigma exp(eta_sigma / 2 sum_k u_k (s_k^2 - 1)), coordinate by coordinate.
    Utilities are those of `_ranks.log_utilities`. This implementation differs in four things: the
    mean may move by more than its natural gradient; the utilities that step sizes learn from are
    not centred, since centred ones measure steps against those of the other rows, which spaces with
    bounds or norms have projected too (measured: the step sizes on a sphere hardly shrink then; in
    a normal space it makes no difference); steps are taken from the latents as told, and shortened
    where they are too long to be samples; a generation changes no logarithm of a step size by more
    than 1.

    Attributes:
        population: candidates a generation, at least 2. Without noise, small populations win
            at equal queries: on units of random networks behind random decoders, 20 beat 40,
            and 40 beat 100 and 250. With noise, 40 to 100 is better.
        sigma: first step size, in standard deviations of the prior, which are 1 for a
            normal space and width / sqrt(12) for a box.
        mean_learning_rate: eta_mu. Above 1 it extrapolates, which pays on a few thousand
            queries without noise, up to some 2.5 at the default population, and more for
            larger ones (population / 40 recovered much of their loss). The paper's 1 is better with
            noise, and for closing in on an exact optimum.
        sigma_learning_rate: eta_sigma; the paper's (3 + ln D) / (5 sqrt(D)) if None.
    """

    name: ClassVar[str] = "snes"
    state_type: ClassVar[type[SNESState]] = SNESState

    population: int = 20
    sigma: float = 1.0
    mean_learning_rate: float = 1.5
    sigma_learning_rate: float | None = None

    def __post_init__(self) -> None:
        at_least(2, "one row cannot be ranked", population=self.population)
        positive(
            sigma=self.sigma,
            mean_learning_rate=self.mean_learning_rate,
            sigma_learning_rate=self.sigma_learning_rate,
        )
        super().__post_init__()

    def population_size(self, space: Space) -> int:
        del space
        return self.population

    def fresh(self, space: Space, mean: torch.Tensor, generation: torch.Tensor) -> SNESState:
        del space
        return SNESState(
            mean=mean,
            sigma=torch.full_like(mean, self.sigma),
            generation=generation,
        )

    def ask(self, space: Space, state: SNESState, stream: Stream) -> torch.Tensor:
        frame = frame_of(space, state.mean)
        return drawn(frame, state.mean, state.sigma, stream, self.population)

    def tell(
        self,
        space: Space,
        state: SNESState,
        latents: torch.Tensor,
        scores: torch.Tensor,
        gradients: torch.Tensor | None = None,
    ) -> SNESState:
        del gradients
        frame = frame_of(space, state.mean)
        utilities, plain = log_utilities(scores, state.mean.dtype)
        move, squares = moments(frame, latents, state.mean, state.sigma, utilities, plain)
        growth = squares - row_sums(plain).unsqueeze(-1)
        rate = self.sigma_learning_rate or sigma_rate(space.dim)
        mean = state.mean + self.mean_learning_rate * state.sigma * move
        mean = frame.settle(mean, self.prior_pull)
        sigma = state.sigma * torch.exp((rate / 2 * growth).clamp(-1.0, 1.0))
        # With steps below the spacing of numbers at the mean, every proposal would be the mean
        # itself.
        spacing = (torch.finfo(mean.dtype).eps * mean.abs()).clamp(min=MIN_STEP)
        return SNESState(
            mean=mean,
            sigma=torch.maximum(sigma, spacing).clamp(max=MAX_STEP),
            generation=state.generation + 1,
        )
