"""What CMA-ES and its diagonal variant share: parameters, the start, moving the mean."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, TypeVar

import torch

from blackbox_am.core.optimizer import Optimizer
from blackbox_am.core.rng import Stream
from blackbox_am.core.space import Space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.optimizers._frame import Frame
from blackbox_am.optimizers._parameters import share
from blackbox_am.optimizers._start import Start, first_mean
from blackbox_am.optimizers._targetwise import for_each, weighted_sum
from blackbox_am.optimizers._weights import Ranked, rank

State = TypeVar("State")


@dataclass(frozen=True)
class EvolutionStrategy(Optimizer[State]):
    """A search distribution that moves towards its better half.

    Attributes:
        population: candidates a generation, at least 2; where None, 4 + floor(3 ln D), but
            no fewer than 16 and no more than 40. Without noise small populations win at
            equal queries: on units of random networks behind random decoders, after 3,000
            queries, 16 to 28 were within a few per cent of one another, 40 behind them, and
            100 and 250 far behind. With noise, 40 to 100 is better.
        sigma: first step size, in standard deviations of the prior, which are 1 for a
            normal space and width / sqrt(12) for a box. Units that a direction of the
            latent drives without end like 1, units tuned to a small region 0.3.
        mean_learning_rate: how far the mean moves towards the weighted mean of the better
            half. Above 1 it extrapolates, which pays on budgets of a few thousand queries
            without noise. The textbook's 1 is better with noise, and for closing in on an
            exact optimum.
        active: whether the worse half of the rows shrinks the distribution where it lies.
            Only heeded in spaces without bounds or norms. Steps that a space has projected
            no longer follow the law that the negative weights are balanced against, and
            drive C to collapse (measured: in the corner of a box `cma` never converges).
        start: `prior` starts at the prior's mean, `sample` at a sample of the prior, which
            makes several searches for one unit differ from their beginning.
        prior_pull: share of its distance to the prior's mean that the mean loses each
            generation, so that latents do not run away where longer ones always score higher.
            0 leaves it alone; 0.003 shortens latents noticeably at little cost, see
            `_frame`, and from 0.01 on scores suffer.
    """

    diagonal: ClassVar[bool]
    """Whether only variances are learnt."""

    population: int | None = None
    sigma: float = 0.5
    mean_learning_rate: float = 1.5
    active: bool = True
    start: Start = "prior"
    prior_pull: float = 0.0

    def __post_init__(self) -> None:
        if self.population is not None and self.population < 2:
            raise ValueError(
                f"population must be at least 2, since one row cannot be ranked; "
                f"got {self.population}"
            )
        for name, value in (("sigma", self.sigma), ("mean_learning_rate", self.mean_learning_rate)):
            if not (value > 0 and math.isfinite(value)):
                raise ValueError(f"{name} must be positive and finite, got {value}")
        share(prior_pull=self.prior_pull)

    def population_size(self, space: Space) -> int:
        if self.population is not None:
            return self.population
        return min(40, max(16, 4 + math.floor(3 * math.log(space.dim))))

    def _rank(self, space: Space, scores: torch.Tensor, dtype: torch.dtype) -> Ranked:
        active = self._uses_negative_weights(space)
        return rank(scores, space.dim, dtype, active=active, diagonal=self.diagonal)

    def _uses_negative_weights(self, space: Space) -> bool:
        return self.active and not projects(space.spec)

    def _first_mean(self, space: Space, stream: Stream) -> torch.Tensor:
        """(K, D) in the frame of `space`."""
        return first_mean(space, stream, self.start)

    def _moved(
        self,
        frame: Frame,
        mean: torch.Tensor,
        sigma: torch.Tensor,
        ranked: Ranked,
        steps: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The mean after a generation and the move behind it, in units of sigma; both (K, D)."""
        move = weighted_sum(ranked.weights.clamp(min=0), steps)
        mean = mean + (self.mean_learning_rate * sigma).unsqueeze(-1) * move
        return frame.settle(mean, self.prior_pull), move


def projects(spec: SpaceSpec) -> bool:
    """Whether a space moves some of the points that are asked of it."""
    if spec.kind == "product":
        return any(projects(part) for part in spec.parts)
    return spec.kind != "normal"


def steps_of(
    frame: Frame,
    latents: torch.Tensor,
    mean: torch.Tensor,
    sigma: torch.Tensor,
    valid: torch.Tensor,
) -> torch.Tensor:
    """(K, P, D): what was told, as steps from the mean in units of sigma; 0 where missing.

    They are taken from the latents, not from what was asked: the space may have projected
    those.
    """
    steps = (frame.inward(latents) - mean.unsqueeze(1)) / sigma.view(-1, 1, 1)
    return torch.where(valid.unsqueeze(-1), steps, 0.0)


def shorten(squared_norms: torch.Tensor, dim: int) -> torch.Tensor:
    """(K, P) factors that bring whitened steps of these squared lengths within reach.

    A sampled step is almost never longer than sqrt(D) + 3. A latent that the state did not
    propose can be, and would take the covariance with it; it is pulled back to twice that
    (the treatment of injected solutions: N. Hansen, arXiv:1110.4181, with a wider limit).
    """
    reach = 2 * (math.sqrt(dim) + 3)
    return reach / squared_norms.sqrt().clamp(min=reach)


def covariance_weights(
    weights: torch.Tensor, squared_norms: torch.Tensor, dim: int
) -> torch.Tensor:
    """(K, P): `weights` with the negative ones scaled by D over the squared length of the
    whitened step, so that no step can take more than its share out of C (equation 46).
    """
    shortest = torch.finfo(weights.dtype).eps * dim
    return torch.where(weights < 0, weights * (dim / squared_norms.clamp(min=shortest)), weights)


def kept_share(ranked: Ranked, steady: torch.Tensor) -> torch.Tensor:
    """(K,): the factor by which the old C enters the new one (equation 47)."""
    late = (1 - steady) * ranked.c_c * (2 - ranked.c_c)
    return 1 + ranked.c_1 * (late - 1) - ranked.c_mu * for_each(torch.sum, ranked.weights)
