"""The evolution strategy of OpenAI: antithetic steps, ranks, and Adam on the mean."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch

from blackbox_am.core.rng import Stream
from blackbox_am.core.space import Space
from blackbox_am.optimizers._frame import frame_of
from blackbox_am.optimizers._parameters import at_least, positive
from blackbox_am.optimizers.evolution._ranks import centred_ranks
from blackbox_am.optimizers.evolution._start import StartsAtMean
from blackbox_am.optimizers.evolution._told import drawn_in_pairs, moment


@dataclass
class OpenESState:
    """State of K searches, in the frame of the space (see `_frame`).

    Attributes:
        mean: (K, D).
        momentum: (K, D) running mean of the gradient estimates.
        power: (K, D) running mean of their squares.
        steps: (K,) int64, steps taken; generations of fewer than two rows take none.
        scale: (K,) factor on sigma and on the learning rate: 1, or less in a search that begins at
            given latents.
        generation: (K,) int64, generations told.
    """

    mean: torch.Tensor
    momentum: torch.Tensor
    power: torch.Tensor
    steps: torch.Tensor
    scale: torch.Tensor
    generation: torch.Tensor


@dataclass(frozen=True)
class OpenES(StartsAtMean[OpenESState]):
    """Ascent along the gradient of the smoothed score, estimated from mirrored pairs of steps.

    Source: T. Salimans, J. Ho, X. Chen, S. Sidor and I. Sutskever, "Evolution Strategies as a
    Scalable Alternative to Reinforcement Learning" (arXiv:1703.03864, 2017), Algorithm 1 with
    the mirrored sampling and the rank shaping of its section 2, and Adam (D. P. Kingma and J.
    Ba, ICLR 2015, Algorithm 1), which its authors' code uses. This implementation leaves out the
    weight decay, lets sigma and the learning rate shrink together, and computes steps from the
    evaluated latents, shortened if they are too long to be samples.

    Attributes:
        population: candidates a generation, an even number: row i + P/2 mirrors row i. Without
            noise 20 finds more than 40 at equal queries.
        sigma: step size, in standard deviations of the prior, which are 1 for a normal space
            and width / sqrt(12) for a box.
        learning_rate: of Adam; about how far the mean moves in each coordinate and generation,
            in the same unit.
        beta1: Adam's memory of the mean gradient, in [0, 1).
        beta2: Adam's memory of its squares, in [0, 1).
        decay: factor on sigma and on the learning rate each generation, in (0, 1]; 1 keeps
            them.
        floor: the smallest values of sigma and of the learning rate, as a share of their first
            values, in (0, 1].
    """

    name: ClassVar[str] = "open_es"
    state_type: ClassVar[type[OpenESState]] = OpenESState

    population: int = 20
    sigma: float = 0.5
    learning_rate: float = 0.2
    beta1: float = 0.9
    beta2: float = 0.999
    decay: float = 1.0
    floor: float = 0.01

    def __post_init__(self) -> None:
        at_least(2, "steps come in pairs", population=self.population)
        if self.population % 2:
            raise ValueError(
                f"population must be even, since steps come in pairs; got {self.population}"
            )
        positive(sigma=self.sigma, learning_rate=self.learning_rate)
        for name in ("beta1", "beta2"):
            value = getattr(self, name)
            if not 0 <= value < 1:
                raise ValueError(f"{name} must be in [0, 1), got {value}")
        for name in ("decay", "floor"):
            value = getattr(self, name)
            if not 0 < value <= 1:
                raise ValueError(f"{name} must be above 0 and at most 1, got {value}")
        super().__post_init__()

    def population_size(self, space: Space) -> int:
        del space
        return self.population

    def fresh(self, space: Space, mean: torch.Tensor, generation: torch.Tensor) -> OpenESState:
        del space
        return OpenESState(
            mean=mean,
            momentum=torch.zeros_like(mean),
            power=torch.zeros_like(mean),
            steps=torch.zeros_like(generation),
            scale=mean.new_ones(len(mean)),
            generation=generation,
        )

    def shortened(self, state: OpenESState) -> dict[str, torch.Tensor]:
        return {"scale": state.scale.clamp(max=self.start_sigma / self.sigma)}

    def ask(self, space: Space, state: OpenESState, stream: Stream) -> torch.Tensor:
        frame = frame_of(space, state.mean)
        return drawn_in_pairs(frame, state.mean, self._sigma(state), stream, self.population)

    def tell(
        self,
        space: Space,
        state: OpenESState,
        latents: torch.Tensor,
        scores: torch.Tensor,
        gradients: torch.Tensor | None = None,
    ) -> OpenESState:
        del gradients
        frame = frame_of(space, state.mean)
        shrunk = self._shrunk(state)
        valid = ~scores.isnan()
        present = valid.sum(-1, keepdim=True)
        # Adam cancels any constant factor of the gradient. The shrinking sigma is not constant, so
        # it is left out here.
        ranks = centred_ranks(scores, state.mean.dtype)
        total = moment(frame, latents, state.mean, self._sigma(state), ranks)
        slope = total / present.clamp(min=1)
        momentum = self.beta1 * state.momentum + (1 - self.beta1) * slope
        power = self.beta2 * state.power + (1 - self.beta2) * slope.square()
        steps_taken = state.steps + 1
        first = momentum / _filled(self.beta1, steps_taken, momentum)
        second = power / _filled(self.beta2, steps_taken, power)
        step = self.learning_rate * shrunk.unsqueeze(-1) * first / (second.sqrt() + 1e-8)
        learns = present > 1
        return OpenESState(
            mean=torch.where(learns, frame.settle(state.mean + step, self.prior_pull), state.mean),
            momentum=torch.where(learns, momentum, state.momentum),
            power=torch.where(learns, power, state.power),
            steps=torch.where(learns[:, 0], steps_taken, state.steps),
            scale=state.scale,
            generation=state.generation + 1,
        )

    def _sigma(self, state: OpenESState) -> torch.Tensor:
        """(K, 1): the step size."""
        return (self.sigma * self._shrunk(state)).unsqueeze(-1)

    def _shrunk(self, state: OpenESState) -> torch.Tensor:
        """(K,): the factor on the first values of sigma and the learning rate."""
        if self.decay == 1:
            return state.scale
        left = torch.exp(math.log(self.decay) * state.steps.to(state.mean.dtype))
        return state.scale * left.clamp(min=self.floor)


def _filled(beta: float, steps: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """(K, 1): 1 - beta^steps, the share of a running mean that has been filled."""
    return -torch.expm1(steps.to(like.dtype) * math.log(max(beta, 1e-300))).unsqueeze(-1)
