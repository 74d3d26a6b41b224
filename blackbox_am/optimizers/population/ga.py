"""The genetic algorithm of XDream."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal, NamedTuple

import torch

from blackbox_am.core.optimizer import EVERY, Optimizer
from blackbox_am.core.rng import Stream
from blackbox_am.core.space import Space
from blackbox_am.optimizers._centers import center_of, elite_weights
from blackbox_am.optimizers._frame import frame_of
from blackbox_am.optimizers._incumbents import rows_at
from blackbox_am.optimizers._parameters import at_least, positive, share
from blackbox_am.optimizers._targetwise import possible, row_sums
from blackbox_am.optimizers._weights import descending

FULL = 2**40
"""The weight of the fittest row as a parent. Weights are integers, because sums of integers are
exact.
"""


class Setting(NamedTuple):
    """A published set of parameters; see `GA`."""

    population: int
    mutation_rate: float
    mutation_size: float
    selectivity: float
    heritability: float
    elites: int
    clips: bool


SETTINGS = {
    "xdream_fc6": Setting(20, 0.5, 0.5, 2.0, 0.5, 0, True),
    "xdream_fc7": Setting(45, 0.6, 0.3, 1.25, 0.5, 0, True),
    "xdream_fc8": Setting(20, 0.2, 0.6, 2.0, 0.5, 0, True),
    "xdream_pool5": Setting(10, 0.6, 1.0, 2.5, 0.75, 0, True),
    "xdream_conv4": Setting(10, 0.9, 0.75, 2.5, 0.5, 0, True),
    "xdream_conv3": Setting(12, 0.65, 0.75, 2.25, 0.5, 0, True),
    "xdream_norm2": Setting(10, 0.5, 0.7, 4.0, 0.5, 0, True),
    "xdream_norm1": Setting(15, 1.0, 1.5, 2.0, 0.5, 0, True),
    "gecco": Setting(40, 0.25, 0.75, 0.5, 0.75, 10, False),
}


@dataclass
class GAState:
    """State of K searches.

    Attributes:
        parents: (K, P, D) latents of the last generation that came back, best first; int64 in
            a space of codes.
        fitness: (K, P) int64 weight of each row as a parent, 0 for rows that failed. All weights
            are 0 before the first score.
        generation: (K,) int64, generations told.
    """

    parents: torch.Tensor
    fitness: torch.Tensor
    generation: torch.Tensor


@dataclass(frozen=True)
class GA(Optimizer[GAState]):
    """Children mix the genes of two fit parents, coordinate by coordinate, and mutate.

    A parent is drawn with a chance that falls off exponentially with its distance to the best
    score, in units of the scores' standard deviation over `selectivity`.

    Sources: C. R. Ponce et al., "Evolving Images for Visual Neurons Using a Deep Generative
    Network Reveals Coding Principles and Neuronal Preferences" (Cell 177, 2019); W. Xiao and
    G. Kreiman, "XDream: Finding Preferred Stimuli for Visual Neurons Using Generative Networks
    and Gradient-Free Optimization" (PLoS Computational Biology 16, 2020), whose tuned
    parameters for each generator are the settings `xdream_*`; B. Wang and C. R. Ponce (GECCO
    2022) for `gecco`. This implementation differs in three things: mutations are measured in
    deviations of the prior, which is where the first generation comes from; rows that failed are no
    parents, where XDream asks for them again; chances are rounded to 40 bits, so that they add up
    to the same number on every device.

    The mutation of a code draws the code again from the prior, independently of its old value and
    of `mutation_size`. The published rates were tuned for small steps of many coordinates. Codes
    mutate at the rate 1 / (number of codes) unless `mutation_rate` is given: one code a child on
    average (H. Muehlenbein, "How genetic algorithms really work: mutation and hillclimbing", PPSN
    1992). In a mixed space the numbers mutate at the published rate, and the codes at this one.

    Attributes:
        setting: the published set that gives the values of parameters that are None.
        population: candidates a generation.
        mutation_rate: chance of a coordinate to mutate.
        mutation_size: standard deviation of a mutation, in deviations of the prior.
        selectivity: how sharply the best are preferred as parents.
        heritability: chance of a coordinate to come from the first of the two parents.
        elites: best rows that are proposed again as they are. They cost queries, and are
            measured again.
        clips: whether scores above the 95th percentile count as that percentile.
    """

    name: ClassVar[str] = "ga"
    copies: ClassVar[int] = 12
    rank_based: ClassVar[bool] = False
    exchangeable: ClassVar[bool] = False  # codes often have equal scores; earlier rows come first
    spaces: ClassVar[frozenset[str]] = EVERY
    state_type: ClassVar[type[GAState]] = GAState

    setting: Literal[
        "xdream_fc6",
        "xdream_fc7",
        "xdream_fc8",
        "xdream_pool5",
        "xdream_conv4",
        "xdream_conv3",
        "xdream_norm2",
        "xdream_norm1",
        "gecco",
    ] = "xdream_fc6"
    population: int | None = None
    mutation_rate: float | None = None
    mutation_size: float | None = None
    selectivity: float | None = None
    heritability: float | None = None
    elites: int | None = None
    clips: bool | None = None

    def __post_init__(self) -> None:
        at_least(2, "a child has two parents", population=self.population)
        share(mutation_rate=self.mutation_rate, heritability=self.heritability)
        positive(mutation_size=self.mutation_size, selectivity=self.selectivity)
        at_least(0, "it counts rows", elites=self.elites)
        used = self.parameters()
        if used.elites >= used.population:
            raise ValueError(
                f"elites must be fewer than the population of {used.population}, "
                f"or no child is ever made; got {used.elites}"
            )

    def parameters(self) -> Setting:
        """The setting, with the parameters that the user gave in place of its values."""
        given = {name: getattr(self, name) for name in Setting._fields}
        preset = SETTINGS[self.setting]
        return preset._replace(**{k: v for k, v in given.items() if v is not None})

    def population_size(self, space: Space) -> int:
        del space
        return self.parameters().population

    def init(self, space: Space, targets: int, stream: Stream) -> GAState:
        population, dim = self.parameters().population, space.dim
        device = stream.device
        return GAState(
            parents=torch.zeros(
                targets, population, dim, device=device, dtype=space.dtype or stream.dtype
            ),
            fitness=torch.zeros(targets, population, dtype=torch.int64, device=device),
            generation=torch.zeros(targets, dtype=torch.int64, device=device),
        )

    def started_at(self, space: Space, state: GAState, latents: torch.Tensor) -> GAState:
        del space
        parents = latents.to(state.parents).unsqueeze(1).expand_as(state.parents).contiguous()
        weights = torch.zeros_like(state.fitness)
        weights[:, 0] = FULL
        return replace(state, parents=parents, fitness=weights)

    def center(self, space: Space, state: GAState) -> torch.Tensor:
        places = torch.arange(state.fitness.shape[1], device=state.fitness.device)
        best_first = -places.expand_as(state.fitness).to(torch.float64)
        return center_of(space, state.parents, elite_weights(best_first, state.fitness > 0))

    def ask(self, space: Space, state: GAState, stream: Stream) -> torch.Tensor:
        used = self.parameters()
        size, dim = used.population, space.dim
        first, second = (
            rows_at(state.parents, roulette(state.fitness, stream.uniform(size))) for _ in range(2)
        )
        children = torch.where(stream.uniform(size, dim) < used.heritability, first, second)
        children = self._mutated(space, children, stream)
        kept = (state.fitness > 0) & (torch.arange(size, device=children.device) < used.elites)
        children = torch.where(kept.unsqueeze(-1), state.parents, children)
        # Drawn last, so that the draws of one target do not depend on the other targets.
        empty = (state.fitness == 0).all(-1)
        if possible(empty):
            children = torch.where(empty.view(-1, 1, 1), space.sample(stream, size), children)
        return children

    def _mutated(self, space: Space, children: torch.Tensor, stream: Stream) -> torch.Tensor:
        """Children (K, P, D) with some of their coordinates changed."""
        used, (size, dim) = self.parameters(), children.shape[1:]
        chance = stream.uniform(size, dim)
        count = sum(number > 0 for number in space.categories)
        rate = 1 / max(1, count) if self.mutation_rate is None else self.mutation_rate
        if count == dim:
            return torch.where(chance < rate, space.sample(stream, size), children)
        mutation = used.mutation_size * frame_of(space, children).scale * stream.normal(size, dim)
        moved = torch.where(chance < used.mutation_rate, children + mutation, children)
        if count == 0:
            return moved
        redrawn = torch.where(chance < rate, space.sample(stream, size), children)
        return torch.where(space.codes(children.device), redrawn, moved)

    def tell(
        self,
        space: Space,
        state: GAState,
        latents: torch.Tensor,
        scores: torch.Tensor,
        gradients: torch.Tensor | None = None,
    ) -> GAState:
        del space, gradients
        used = self.parameters()
        order = descending(scores)
        best_first = scores.gather(-1, order).to(torch.float64)
        weights = fitness(best_first, selectivity=used.selectivity, clips=used.clips)
        learns = (weights > 0).any(-1)
        return GAState(
            parents=torch.where(learns.view(-1, 1, 1), rows_at(latents, order), state.parents),
            fitness=torch.where(learns.unsqueeze(-1), weights, state.fitness),
            generation=state.generation + 1,
        )


def fitness(scores: torch.Tensor, *, selectivity: float, clips: bool) -> torch.Tensor:
    """(K, P) int64 weights as parents, `FULL` for the best of scores (K, P) float64, which are
    best first and nan last; 0 for nan.

    exp((s - best) / T) with T = max(deviation / selectivity, 1e-8). Where `clips`, the scores are
    clipped at their 95th percentile. Infinite scores count as the largest or smallest finite score.
    """
    present, known = ~scores.isnan(), scores.isfinite()
    count = present.sum(-1, keepdim=True)
    among = count.clamp(min=1)
    top = torch.where(known, scores, -torch.inf).amax(-1, keepdim=True)
    bottom = torch.where(known, scores, torch.inf).amin(-1, keepdim=True)
    values = torch.where(known, scores, torch.where(scores > 0, top, bottom))
    values = torch.where(present & known.any(-1, keepdim=True), values, 0.0)
    mean = row_sums(values).unsqueeze(-1) / among
    squares = torch.where(present, (values - mean).square(), 0.0)
    deviation = (row_sums(squares).unsqueeze(-1) / among).sqrt()
    temperature = (deviation / selectivity).clamp(min=1e-8)
    if clips:
        place = 0.05 * (count - 1).clamp(min=0)
        above = place.floor().to(torch.int64)
        below = (above + 1).clamp(max=values.shape[-1] - 1)
        part = place - above
        limit = values.gather(-1, above) * (1 - part) + values.gather(-1, below) * part
        values = torch.minimum(values, limit)
    best = torch.where(present, values, -torch.inf).amax(-1, keepdim=True)
    chance = torch.exp((values - best) / temperature).nan_to_num(0.0)
    return torch.where(present, (chance * FULL).to(torch.int64).clamp(1, FULL), 0)


def roulette(weights: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
    """(K, P) int64: rows drawn with chances in proportion to whole `weights` (K, P), by numbers
    `uniform` (K, P) in [0, 1).
    """
    sums = weights.cumsum(-1)
    total = sums[:, -1:]
    mark = (uniform.to(torch.float64) * total).to(torch.int64)
    mark = torch.minimum(mark, (total - 1).clamp(min=0))
    return torch.searchsorted(sums, mark, right=True).clamp(max=weights.shape[-1] - 1)
