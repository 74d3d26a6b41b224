"""The nearest latent whose stimulus fools a model: shells of growing radius, which then shrink."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch

from blackbox_am.core.optimizer import Optimizer
from blackbox_am.core.rng import Stream
from blackbox_am.core.space import Space
from blackbox_am.optimizers._incumbents import best_row
from blackbox_am.optimizers._parameters import at_least, positive, share
from blackbox_am.optimizers._targetwise import norms

WIDENING, CONTRACTING, REFINING = 0, 1, 2
"""Phases: no latent has fooled the model; the shell contracts; the shell is thin."""
SPREAD = 0.5
"""Length of the random part that is added to the direction of the best latent."""


@dataclass
class NaturalAdversaryState:
    """State of K searches.

    Attributes:
        origin: (K, D) the latent of the input.
        best: (K, D) the nearest latent that fools the model, relative to the origin.
        distance: (K,) float64, its length; 0 if there is none.
        low, high: (K,) float64, the radii of the shell.
        phase: (K,) int64, see `WIDENING`.
        rounds: (K,) int64, generations told.
    """

    origin: torch.Tensor
    best: torch.Tensor
    distance: torch.Tensor
    low: torch.Tensor
    high: torch.Tensor
    phase: torch.Tensor
    rounds: torch.Tensor


@dataclass(frozen=True)
class NaturalAdversary(Optimizer[NaturalAdversaryState]):
    """The smallest change of a latent that fools a model, by random samples in shells around it.

    Samples are latents origin + r v / |v| for Gaussian v and a radius r uniform in [low, high).
    While no sample fools the model, the shell moves outwards by its width. Then the search shrinks:
    for a nearest success at distance d the shell becomes [d / 2, d); after a round without a nearer
    success low moves halfway to high, until the shell is thinner than `width`. From then on the
    shell is the layer of this width below the best distance.

    Source: Z. Zhao, D. Dua and S. Singh, "Generating natural adversarial examples" (ICLR 2018),
    section 2.2: iterative search and hybrid shrinking search. This implementation differs in four
    things. The share `near` of the samples lies near the direction of the best latent, as soon as
    there is one. The first sample is the origin itself, since a generator that reconstructs its
    input may fool the model already. The width is a share of the norm of a usual latent, not .01.
    The last phase lasts until the study ends; the paper ends it after five rounds without success,
    which the limit `patience` of a study can do.

    A row fools the model if its score is above 0: `margin`, or `label`, which says no more. With
    `label`, `closest` and the measure `latent.norm` at the end of its quantities, the best row of
    the study is the nearest one that fools the model. A criterion `misclassified` ends a target at
    its first success, before the search shrinks; joined with a threshold of `latent.norm` it ends
    the target at a success that is near enough.

    The space is normal, of a generator around an input: `neighbourhood`, whose origin, 0, is the
    input. With any other generator the study's start is the origin.

    Attributes:
        population: samples of a generation. The paper has 5,000.
        width: width of a shell that moves outwards, and of the last shell, in units of sqrt(D), the
            norm of a usual latent.
        near: share of samples near the direction of the best latent. 0 is the paper's. On 8 images
            with the shipped autoencoder and 400 rows each, 0, .5 and .9 found a median norm of
            3.7, 2.3 and 1.9.
    """

    name: ClassVar[str] = "natural_adversary"
    copies: ClassVar[int] = 10
    rank_based: ClassVar[bool] = False
    state_type: ClassVar[type[NaturalAdversaryState]] = NaturalAdversaryState
    spaces: ClassVar[frozenset[str]] = frozenset({"normal"})

    population: int = 20
    width: float = 0.1
    near: float = 0.9

    def __post_init__(self) -> None:
        at_least(1, "a generation has a row", population=self.population)
        positive(width=self.width)
        share(near=self.near)

    def population_size(self, space: Space) -> int:
        del space
        return self.population

    def init(self, space: Space, targets: int, stream: Stream) -> NaturalAdversaryState:
        latents = torch.zeros(targets, space.dim, dtype=stream.dtype, device=stream.device)
        radius = torch.zeros(targets, dtype=torch.float64, device=stream.device)
        count = torch.zeros(targets, dtype=torch.int64, device=stream.device)
        return NaturalAdversaryState(
            origin=latents,
            best=latents.clone(),
            distance=radius,
            low=radius.clone(),
            high=radius + self._width(space),
            phase=count,
            rounds=count.clone(),
        )

    def started_at(
        self, space: Space, state: NaturalAdversaryState, latents: torch.Tensor
    ) -> NaturalAdversaryState:
        """The start is the origin."""
        del space
        return replace(state, origin=latents.to(state.origin).clone())

    def ask(self, space: Space, state: NaturalAdversaryState, stream: Stream) -> torch.Tensor:
        direction = _unit(stream.normal(self.population, space.dim))
        around = _unit(_unit(state.best.unsqueeze(1)) + SPREAD * direction)
        row = torch.arange(self.population, device=direction.device)
        guided = (state.phase > WIDENING)[:, None] & (row < round(self.near * self.population))
        direction = torch.where(guided.unsqueeze(-1), around, direction)
        low, high = (radius[:, None].to(direction.dtype) for radius in (state.low, state.high))
        radius = low + (high - low) * stream.uniform(self.population)
        radius = torch.where((state.rounds[:, None] == 0) & (row == 0), 0.0, radius)
        return state.origin.unsqueeze(1) + radius.unsqueeze(-1) * direction

    def tell(
        self,
        space: Space,
        state: NaturalAdversaryState,
        latents: torch.Tensor,
        scores: torch.Tensor,
        gradients: torch.Tensor | None = None,
    ) -> NaturalAdversaryState:
        del gradients
        width = self._width(space)
        changes = latents - state.origin.unsqueeze(1)
        lengths = norms(changes).to(torch.float64)
        fooled = scores > 0
        found = best_row(changes, -lengths, fooled)
        far = torch.finfo(torch.float64).max
        length = torch.where(fooled, lengths, far).amin(1)
        better = fooled.any(1) & ((state.phase == WIDENING) | (length < state.distance))
        distance = torch.where(better, length, state.distance)
        worse = (~scores.isnan()).any(1) & ~better  # a round that failed is repeated
        widens = worse & (state.phase == WIDENING)
        halves = worse & (state.phase == CONTRACTING)
        thin = halves & (state.high - state.low < width)
        phase = torch.where(thin, REFINING, state.phase)
        phase = torch.where(better & (phase == WIDENING), CONTRACTING, phase)
        low = torch.where(widens, state.high, state.low)
        low = torch.where(halves, (state.low + state.high) / 2, low)
        low = torch.where(better & (phase == CONTRACTING), distance / 2, low)
        low = torch.where(phase == REFINING, (distance - width).clamp(min=0), low)
        high = torch.where(widens, state.high + width, state.high)
        return NaturalAdversaryState(
            origin=state.origin,
            best=torch.where(better[:, None], found, state.best),
            distance=distance,
            low=low,
            high=torch.where(phase > WIDENING, distance, high),
            phase=phase,
            rounds=state.rounds + 1,
        )

    def _width(self, space: Space) -> float:
        return float(self.width * space.dim**0.5)


def _unit(vectors: torch.Tensor) -> torch.Tensor:
    """`vectors` (K, P, D) of length 1; those of length 0 stay as they are."""
    lengths = norms(vectors).unsqueeze(-1)
    return vectors / lengths.clamp_min(torch.finfo(vectors.dtype).tiny)
