"""Chooses the optimizer by the space, the budget and the noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NoReturn

import torch

from blackbox_am.core.optimizer import CONTINUOUS, Circumstances, Optimizer
from blackbox_am.core.rng import Stream
from blackbox_am.core.space import Space
from blackbox_am.errors import Unsupported
from blackbox_am.optimizers._parameters import at_least
from blackbox_am.optimizers.random import Random
from blackbox_am.optimizers.snes import SNES


@dataclass(frozen=True)
class Auto(Optimizer[Any]):
    """Chooses the optimizer and its settings for a study: what searches where nobody named
    one. The choice is written into the study's journal, so a later version of the rule changes
    no study that has begun.

    The rule, from the benchmark in `blackbox_am/optimizers/README.md`: TODO

    Attributes:
        noise: whether the oracle answers the same stimulus differently each time; `unknown`
            believes what the oracle says of itself.
        population: candidates a generation; chosen where None.
    """

    name: ClassVar[str] = "auto"
    spaces: ClassVar[frozenset[str]] = CONTINUOUS | {"categorical"}
    state_type: ClassVar[type[Any]] = object

    noise: Literal["unknown", "none", "some"] = "unknown"
    population: int | None = None

    def __post_init__(self) -> None:
        at_least(2, "one row cannot be ranked", population=self.population)

    def fitted(self, space: Space, circumstances: Circumstances) -> Optimizer[Any]:
        noisy = circumstances.noisy if self.noise == "unknown" else self.noise == "some"
        chosen = choice(space, circumstances, noisy, self.population)
        return chosen.fitted(space, circumstances)

    def population_size(self, space: Space) -> int:
        return self.fitted(space, Circumstances(queries_per_target=1000)).population_size(space)

    def init(self, space: Space, targets: int, stream: Stream) -> NoReturn:
        del space, targets, stream
        raise _unfitted()

    def ask(self, space: Space, state: Any, stream: Stream) -> NoReturn:
        del space, state, stream
        raise _unfitted()

    def tell(
        self,
        space: Space,
        state: Any,
        latents: torch.Tensor,
        scores: torch.Tensor,
        gradients: torch.Tensor | None = None,
    ) -> NoReturn:
        del space, state, latents, scores, gradients
        raise _unfitted()


def choice(
    space: Space, circumstances: Circumstances, noisy: bool, population: int | None
) -> Optimizer[Any]:
    """The optimizer for a study of `space`; the rule is in the docstring of `Auto`."""
    del circumstances
    if space.kind == "categorical":
        return Random(population=population or 20)
    if noisy:
        return SNES(population=population or 40, mean_learning_rate=1.0)
    return SNES(population=population or 20)


def _unfitted() -> Unsupported:
    return Unsupported(
        "auto searches nothing itself; `auto.fitted(space, circumstances)` is what it chooses"
    )
