"""Langevin sampling of latents that excite a unit."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch

from blackbox_am.core.rng import Stream
from blackbox_am.optimizers._frame import Frame
from blackbox_am.optimizers._parameters import share
from blackbox_am.optimizers._slopes import unit
from blackbox_am.optimizers.gradient._ascents import Ascents, AscentState


@dataclass
class LangevinState(AscentState):
    """State of P chains for each of K targets; see `AscentState`. `position` is without noise."""


@dataclass(frozen=True)
class Langevin(Ascents[LangevinState]):
    """Metropolis-adjusted Langevin sampling without the Metropolis step, as in PPGN: each step is
    the sum of a prior term, a condition term and a noise term, so that a chain visits different
    stimuli that excite the unit, and not one best stimulus.

    Source: A. Nguyen, J. Clune, Y. Bengio, A. Dosovitskiy and J. Yosinski, "Plug & Play Generative
    Networks: Conditional Iterative Generation of Images in Latent Space" (CVPR 2017), equation 5:

        h_(t+1) = h_t + epsilon1 d log p(h) / dh + epsilon2 d log p(y | h) / dh + N(0, epsilon3^2)

    Three things differ. The prior of a space is known here, so that no denoising autoencoder
    estimates it: its gradient is -h in a normal space (in deviations), and 0 inside a box and along
    a sphere. The score is an activation and not a log probability: its gradient is scaled to the
    root mean square 1, unless `normalise` is False. All three terms are multiplied by the share of
    the schedule, so that a falling schedule cools the chain. The published epsilons for PPGN-h
    (1e-5, 1, 1e-17) are nearly an ascent; the defaults here are ours.

    Attributes:
        population: chains side by side for each target.
        learning_rate: epsilon2, the condition term: with `normalise` the root mean square of a
            coordinate's step, in deviations of the prior; without, the factor on the gradient.
        schedule: how all three terms fall during a chain: `constant`, `cosine`, `linear` or `step`
            (see `_schedules`).
        final_rate: share of the three terms at the end of a chain.
        steps: steps of a chain. None: the generations of the budget, divided by `restarts`.
        restarts: consecutive chains of each row; those after the first begin at fresh samples.
        clip: largest Euclidean norm of the gradient of a row, before it is normalised. None: no
            limit.
        prior: epsilon1, the share of its distance to the prior's mean that a point gives up each
            step, in [0, 1].
        noise: epsilon3, standard deviation of the noise in each coordinate and step, in deviations
            of the prior.
        normalise: whether the gradient is scaled to the root mean square 1. For a score that is a
            log probability, False gives the samples of the source.
    """

    name: ClassVar[str] = "langevin"
    state_type: ClassVar[type[LangevinState]] = LangevinState

    prior: float = 1e-3
    noise: float = 0.01
    normalise: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        share(prior=self.prior)
        if not (self.noise >= 0 and math.isfinite(self.noise)):
            raise ValueError(f"noise must be 0 or more and finite, got {self.noise}")

    def points(self, state: LangevinState, stream: Stream) -> torch.Tensor:
        """The positions with fresh noise, except at the first point of a chain."""
        noise = stream.normal(*state.position.shape[1:])
        size = self.noise * self.share(state) * (state.steps > 0).unsqueeze(-1)
        return state.position + size.to(noise.dtype) * noise

    def step(
        self,
        frame: Frame,
        state: LangevinState,
        here: torch.Tensor,
        slopes: torch.Tensor,
        steps: torch.Tensor,
        rate: torch.Tensor,
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        del steps
        if self.normalise:
            slopes = unit(slopes) * here.shape[-1] ** 0.5
        pull = self.prior * self.share(state).to(here.dtype)
        towards_mean = torch.where(frame.low.isinf(), -here, 0.0)
        return here + pull * towards_mean + rate * slopes, {}
