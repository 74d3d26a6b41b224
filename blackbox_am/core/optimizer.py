"""The contract of an optimizer: a pure pair of functions on a state of tensors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Self, TypeVar

import torch

from blackbox_am.core.generator import Generator
from blackbox_am.core.oracle import Oracle
from blackbox_am.core.rng import Stream
from blackbox_am.core.space import Space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.errors import InvalidSpec, Unsupported

State = TypeVar("State")

CONTINUOUS = frozenset({"normal", "sphere", "box", "product"})
"""The kinds of space whose coordinates are all numbers."""
EVERY = CONTINUOUS | {"categorical", "mixed"}
"""The kinds of space that there are, see `kinds`."""
MAX_POPULATION = 100_000


@dataclass(frozen=True)
class SearchContext:
    """What is known of a study before it begins.

    Attributes:
        queries_per_target: the budget.
        targets: K.
        noisy: whether the same stimuli may give other activations next time.
    """

    queries_per_target: int
    targets: int = 1
    noisy: bool = False


class Optimizer(ABC, Generic[State]):
    """Proposes latents and learns from scores, for K targets at once.

    A subclass is a frozen dataclass: its fields are its parameters and its schema.
    The space is configuration too, and is handed in with every call. What moves is the
    state, a dataclass whose every field is a tensor with a leading K axis, or a dict of
    such tensors, where one search is inside another. The rows of that axis never mix:
    target k does what it would do alone, to the last bit.

    - `ask` is pure: asking twice with equal streams gives equal latents.
    - `tell` may work in place: the old state is dead afterwards.
    - A score of nan is a row that failed; so is a row that was never evaluated.
    - Larger is better. Only the order of scores matters, unless `rank_based` is False.

    One that wraps a library may keep the library's live objects in its state, as a tuple of K
    of them, if it is `replay_only`. Its `ask` is pure within a generation: asking twice gives the
    same, and leaves no trace.
    """

    name: ClassVar[str]
    """The name of its file, by which users call it."""
    order: ClassVar[int] = 0
    """0: learns from scores. 1: also needs their gradients."""
    rank_based: ClassVar[bool] = True
    """Whether only the order of scores matters, so that an increasing function of them
    changes nothing."""
    exchangeable: ClassVar[bool] = True
    """Whether the rows of a generation may be told in another order: the state
    remembers no row. False for restarts, swarms and the like."""
    replay_only: ClassVar[bool] = False
    """Whether its state holds live objects, of which there are no snapshots. Such a search is
    recovered by asking and telling every generation again, from the first."""
    family: ClassVar[str] = ""
    """Of one that stands for many: the parameter that says which. Users may then write
    `name:member` for its name."""
    spaces: ClassVar[frozenset[str]] = CONTINUOUS
    """Kinds of space that it can search, see `kinds`."""
    state_type: ClassVar[type[Any]]
    """The class of its state."""

    @abstractmethod
    def population_size(self, space: Space) -> int:
        """P: candidates a generation, for each target."""

    @abstractmethod
    def init(self, space: Space, targets: int, stream: Stream) -> State:
        """The state of `targets` (K) searches that have seen nothing yet."""

    @abstractmethod
    def ask(self, space: Space, state: State, stream: Stream) -> torch.Tensor:
        """(K, P, D) latents to evaluate next. They may lie outside the space: the study
        projects them, and tells what was evaluated.
        """

    @abstractmethod
    def tell(
        self,
        space: Space,
        state: State,
        latents: torch.Tensor,
        scores: torch.Tensor,
        gradients: torch.Tensor | None = None,
    ) -> State:
        """The state after a generation.

        Args:
            space: the space that the state was made for.
            state: the state that was asked; dead afterwards.
            latents: (K, P, D), as evaluated.
            scores: (K, P), nan for rows that failed.
            gradients: (K, P, D), of the scores with respect to latents; order 1 only.

        Raises:
            GradientUnavailable: of order 1, where `gradients` is None.
        """

    def resolve(self, space: Space, context: SearchContext) -> Optimizer[Any]:
        """The same optimizer, with what it left open settled for a study: a schedule's
        length by the budget, say. A study writes the result into its journal and uses no other.
        """
        del space, context
        return self

    def started_at(self, space: Space, state: State, latents: torch.Tensor) -> State:
        """`state`, which has seen nothing yet, moved to begin at latents (K, D).

        Raises:
            Unsupported: where it has no place to begin at.
        """
        del space, state, latents
        raise Unsupported(
            f"{self.name} does not begin at given latents; use one that moves a mean, such as "
            "`snes`, `sep_cma`, `cma` or `open_es`",
            field="start",
        )

    def bind(self, generator: Generator | None, network: Callable[[str], Oracle]) -> Self:
        """The same optimizer, with what the study's process has at hand. Called before `init`;
        most need nothing, and return themselves.

        What it takes is no parameter: it is not in the specification, and never on the wire.

        Args:
            generator: the study's; None over a bare space.
            network: finds a local network by its name in the catalogue.

        Raises:
            Unsupported: where something that it needs is missing, or has no gradients.
            ShapeMismatch: where generator and network do not fit together.
            NotFound, UnknownUnit: for a network, or a layer of it, that does not exist.
        """
        del generator, network
        return self

    def check(self, space: Space) -> None:
        """Checks that this optimizer can search `space`.

        Raises:
            Unsupported: for a kind of space it cannot search.
            InvalidSpec: for a population out of range.
        """
        missing = kinds(space) - self.spaces
        if missing:
            raise Unsupported(
                f"{self.name} cannot search a {space.kind} space"
                f"{_because(space, missing)}; it searches {', '.join(sorted(self.spaces))}. "
                "`auto` and `random` search every space",
                field="optimizer.name",
            )
        population = self.population_size(space)
        if not 1 <= population <= MAX_POPULATION:
            raise InvalidSpec(
                f"{self.name}: population must be 1 to {MAX_POPULATION}, got {population}",
                field="optimizer.parameters.population",
            )


def kinds(space: Space) -> set[str]:
    """What an optimizer has to be able to search for `space`: the kinds of the space and of its
    parts, and `mixed` for a product with codes among its coordinates.
    """
    return _kinds(space.spec) | ({"mixed"} if space.mixed else set())


def _kinds(spec: SpaceSpec) -> set[str]:
    return {spec.kind}.union(*(_kinds(part) for part in spec.parts))


def _because(space: Space, missing: set[str]) -> str:
    """What of a product space an optimizer cannot search."""
    if space.mixed:
        return f" with codes among its {space.dim} coordinates"
    parts = missing - {space.kind}
    return f" with {' and '.join(sorted(parts))} parts" if parts else ""
