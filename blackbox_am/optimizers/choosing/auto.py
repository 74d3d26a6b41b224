"""Chooses the optimizer by the space, the budget and the noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NoReturn

import torch

from blackbox_am.core.optimizer import EVERY, Optimizer, SearchContext
from blackbox_am.core.rng import Stream
from blackbox_am.core.space import Space
from blackbox_am.errors import Unsupported
from blackbox_am.optimizers._parameters import at_least
from blackbox_am.optimizers.choosing.restarts import Restarts
from blackbox_am.optimizers.evolution.snes import SNES
from blackbox_am.optimizers.evolution.sphere_cma import SphereCMA
from blackbox_am.optimizers.population.ga import GA
from blackbox_am.optimizers.population.pbil import PBIL
from blackbox_am.optimizers.population.umda import UMDA
from blackbox_am.optimizers.surrogate.pixel_ridge import PixelRidge

LONG = 2000
"""Queries a target."""
FEW, ENOUGH = 32, 100
"""Dimensions in which a covariance is learnt, and queries for each of them."""
MANY, CLIMBED, TURNS = 512, 2000, 64
"""Dimensions and queries for which `pixel_ridge` gains, and targets that may take turns at a
generator.
"""


@dataclass(frozen=True)
class Auto(Optimizer[Any]):
    """Chooses the optimizer and its settings for a study; used where the user names no optimizer.
    The choice is written into the study's journal, so a later version of the rule changes no study
    that has begun.

    The rule, with its reasons (tables in `docs/optimizers.md` and rates in
    `tests/optimizers/test_planted.py`):

    - codes: `umda` below 2,000 queries for each target, `pbil` for larger budgets, where its scores
      are higher; with noise `pbil`.
    - numbers and codes in one space: `ga`, the only optimizer of this package that learns there.
    - noise: `snes` with the paper's mean learning rate of 1, and 40 rows a generation below 2,000
      queries, 64 from there on. Small populations follow the noise.
    - a sphere: `sphere_cma`, its schedule as long as the budget.
    - 32 dimensions or fewer, and 100 queries or more for each of them: `cma` inside `restarts`.
      Only there does a full covariance pay, and can a search end before its budget does.
    - a start, a generator of pictures with gradients, 512 dimensions or more, an oracle that
      repeats its answers, at most 2,000 queries and 64 targets, no given `population`:
      `pixel_ridge`. In 4,096 dimensions it reaches with 600 to 750 queries what `snes` reaches
      with 1,000 from the same start; at 3,000 it is ahead on half of the units. In 64 and 128
      dimensions and without a start the two are about level, and `pixel_ridge` takes several times
      the computation.
    - else `snes` with 20 rows. On units of networks it is ahead of the other optimizers of this
      package, in 128 dimensions and in 4,096. Where the population is given, the mean learning rate
      is population / 40, and 1.5 at least: large generations with a rate of 1 are inefficient.

    Elsewhere K has no influence: a large batch of an oracle is filled with targets, and not with a
    large population.

    Attributes:
        noise: whether the oracle answers the same stimulus differently each time; `unknown`
            takes the oracle's own description.
        population: candidates a generation; chosen if None.
    """

    name: ClassVar[str] = "auto"
    exchangeable: ClassVar[bool] = False  # this and `rank_based` depend on the choice
    spaces: ClassVar[frozenset[str]] = EVERY
    host_reads: ClassVar[str] = "another optimizer searches"
    state_type: ClassVar[type[Any]] = object

    noise: Literal["unknown", "none", "some"] = "unknown"
    population: int | None = None

    def __post_init__(self) -> None:
        at_least(
            3, "one row may be the centre and one cannot be ranked", population=self.population
        )

    def resolve(self, space: Space, context: SearchContext) -> Optimizer[Any]:
        noisy = context.noisy if self.noise == "unknown" else self.noise == "some"
        chosen = choice(space, context, noisy, self.population)
        return chosen.resolve(space, context)

    def population_size(self, space: Space) -> int:
        return self.resolve(space, SearchContext(queries_per_target=1000)).population_size(space)

    def init(self, space: Space, targets: int, stream: Stream) -> NoReturn:
        del space, targets, stream
        raise _unresolved()

    def started_at(self, space: Space, state: Any, latents: torch.Tensor) -> NoReturn:
        del space, state, latents
        raise _unresolved()

    def center(self, space: Space, state: Any) -> NoReturn:
        del space, state
        raise _unresolved()

    def ask(self, space: Space, state: Any, stream: Stream) -> NoReturn:
        del space, state, stream
        raise _unresolved()

    def tell(
        self,
        space: Space,
        state: Any,
        latents: torch.Tensor,
        scores: torch.Tensor,
        gradients: torch.Tensor | None = None,
    ) -> NoReturn:
        del space, state, latents, scores, gradients
        raise _unresolved()


def choice(
    space: Space, context: SearchContext, noisy: bool, population: int | None
) -> Optimizer[Any]:
    """The optimizer for a study of `space`; the rule is in the docstring of `Auto`."""
    long = context.queries_per_target >= LONG
    size = {} if population is None else {"population": population}
    if space.kind == "categorical":
        return PBIL(**size) if long or noisy else UMDA(**size)
    if any(space.categories):
        return GA(population=population)
    if noisy:
        return SNES(population=population or (64 if long else 40), mean_learning_rate=1.0)
    if space.kind == "sphere":
        return SphereCMA(population=population or 40)
    if space.dim <= FEW and context.queries_per_target >= ENOUGH * space.dim:
        return Restarts(inner="cma", parameters=dict(size))
    if _climbs(space, context) and population is None:
        return PixelRidge()
    rate = max(1.5, (population or 20) / 40)
    return SNES(population=population or 20, mean_learning_rate=rate)


def _climbs(space: Space, context: SearchContext) -> bool:
    """Whether paths through the generator are worth their computation."""
    known = context.exact and context.started and context.climbable and space.dim >= MANY
    return known and context.queries_per_target <= CLIMBED and context.targets <= TURNS


def _unresolved() -> Unsupported:
    return Unsupported(
        "auto does not search itself; call `auto.resolve(space, context)` and use the result"
    )
