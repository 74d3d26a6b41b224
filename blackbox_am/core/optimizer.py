"""The contract of an optimizer: a pure pair of functions on a state of tensors."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, ClassVar, Generic, Self, TypeVar

import torch
from torch.nn.functional import pad

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
"""All kinds of space, see `kinds`."""
MAX_POPULATION = 100_000
MAX_GENERATION_BYTES = 2**29
"""Largest size in bytes of the latents, and of the activations, of one generation. A store may have
to write each as one value, and SQLite refuses values of 10^9 bytes.
"""
STATE_ROWS = 24
"""The most latents of a state that is linear in D, and of its successor: means, moments, paths."""


@dataclass(frozen=True)
class SearchContext:
    """Facts about a study that are known before it begins.

    Attributes:
        queries_per_target: the budget, in rows.
        targets: K.
        noisy: whether repeated measurements of the same stimuli may give different activations.
        exact: whether the study has an oracle that is known to repeat its answers; False where
            clients measure.
        started: whether the study has a start, or natural images that are expected to give one.
        climbable: whether gradients lead through the study's generator to pictures, which are the
            same for all targets.
    """

    queries_per_target: int
    targets: int = 1
    noisy: bool = False
    exact: bool = False
    started: bool = False
    climbable: bool = False


class Role(IntEnum):
    """What a row of the search is measured for."""

    LOSS = 0
    """Its score leads the search."""
    INITIALISATION = 1
    """It is measured before the first step."""
    CHECK = 2
    """It only tests whether, or how far away, an attack succeeds."""


@dataclass(frozen=True)
class Proposal:
    """A generation in which some rows need not be measured, or are for other purposes than others.

    P, the number of rows, is fixed for a study. An optimizer that needs fewer rows of a target in
    one generation masks the others: they are neither rendered, observed, billed nor journalled,
    and `tell` gets nan as their scores. At least one row of each target must be wanted, so that
    every generation makes progress. Rows at the end that no target wants may be left out: with
    p < P rows, latents and mask are (K, p, D) and (K, p), and `tell` gets as many.

    Attributes:
        latents: (K, P, D). Rows that are not wanted may contain any finite latents.
        wanted: (K, P) bool on the device of the latents; None if every row is wanted.
        roles: (K, P) or (K, 1) uint8, the `Role` of each row, for the accounts; None for losses.
    """

    latents: torch.Tensor
    wanted: torch.Tensor | None = None
    roles: torch.Tensor | None = None

    @classmethod
    def of(cls, asked: torch.Tensor | Proposal) -> Proposal:
        """The result of `Optimizer.ask` as a proposal."""
        return asked if isinstance(asked, Proposal) else cls(asked)

    def led_by(self, start: torch.Tensor) -> Proposal:
        """The same generation, but for row 0 of each target, which is `start` (K, D)."""
        latents = self.latents.clone()
        latents[:, 0] = start.to(latents)
        wanted = None if self.wanted is None else self.wanted.clone()
        if wanted is not None:
            wanted[:, 0] = True
        return Proposal(latents, wanted, self.roles)

    def padded(self, rows: int) -> Proposal:
        """The same generation with `rows` rows, of which those that were left out are zeros."""
        missing = rows - self.latents.shape[1]
        if not missing:
            return self
        mask = pad(self.mask(), (0, missing))
        return Proposal(pad(self.latents, (0, 0, 0, missing)), mask, self.roles)

    def mask(self) -> torch.Tensor:
        """(K, P) bool: the rows that are wanted."""
        if self.wanted is not None:
            return self.wanted
        return torch.ones(self.latents.shape[:2], dtype=torch.bool, device=self.latents.device)


class Optimizer(ABC, Generic[State]):
    """Proposes latents and learns from scores, for K targets at once.

    A subclass is a frozen dataclass: its fields are its parameters and its schema. The space is
    part of the configuration too, and is passed with every call. The search changes only the state:
    a dataclass in which every field is a tensor with a leading K axis, or a dict of such tensors if
    one search contains another. The rows of the K axis never mix: the search for target k is
    bit-identical to a search for this target alone.

    - `ask` is pure: two calls with equal streams return equal latents.
    - `tell` may work in place: the old state must not be used afterwards.
    - A score of nan stands for a row that failed, or that was not evaluated.
    - Larger scores are better. Only their order matters, unless `rank_based` is False.
    - Equal inputs give equal bits at every memory address: `core.linear_algebra` has the products
      and factorisations that ensure this.

    An optimizer that wraps a library may keep the library's live objects in its state, as a tuple
    of K objects, if it is `replay_only`. Its `ask` is pure within a generation: a second call
    returns the same latents and changes nothing.
    """

    name: ClassVar[str]
    """The name of the file, by which users name the optimizer."""
    order: ClassVar[int] = 0
    """0: learns from scores. 1: needs the gradients of the scores as well."""
    rank_based: ClassVar[bool] = True
    """Whether only the order of scores matters: an increasing function of the scores changes
    nothing."""
    exchangeable: ClassVar[bool] = True
    """Whether the rows of a generation may be told in another order, because the state remembers no
    row. False for restarts, swarms and similar optimizers."""
    replay_only: ClassVar[bool] = False
    """Whether the state holds live objects, which cannot be snapshotted. Such a search is recovered
    by a replay of every generation from the first."""
    family: ClassVar[str] = ""
    """The parameter that selects one of several optimizers, for a class that represents several
    optimizers. Users may then write `name:member` as the name.
    """
    spaces: ClassVar[frozenset[str]] = CONTINUOUS
    """The kinds of space that the optimizer can search, see `kinds`."""
    begins_apart: ClassVar[bool] = False
    """Whether the first generation measures only the beginning of the search, such as the first
    change of an attack, see `Role.INITIALISATION`."""
    needs_image: ClassVar[bool] = False
    """Whether the optimizer searches only latents that are images, see `SpaceSpec.image_shape`."""
    host_reads: ClassVar[str] = ""
    """The reason why `ask` or `tell` read numbers back to the host. Empty if they read no numbers;
    a graphics card then never waits for the host.
    """
    copies: ClassVar[int] = 3
    """The most latents that `ask` and `tell` hold at once, in populations; for `memory_bytes`."""
    state_type: ClassVar[type[Any]]
    """The class of the state."""

    @abstractmethod
    def population_size(self, space: Space) -> int:
        """P: number of candidates of each target in a generation."""

    @abstractmethod
    def init(self, space: Space, targets: int, stream: Stream) -> State:
        """The state of `targets` (K) searches before their first generation."""

    @abstractmethod
    def ask(self, space: Space, state: State, stream: Stream) -> torch.Tensor | Proposal:
        """(K, P, D) latents to evaluate next, or a `Proposal` of which some rows are masked or left
        out.
        Latents may lie outside the space: the study projects them, and passes the projected latents
        to `tell`.
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
            state: the state that was passed to `ask`; must not be used afterwards.
            latents: (K, P, D), as evaluated; as many rows as `ask` proposed.
            scores: (K, P), nan for rows that failed or were masked out.
            gradients: (K, P, D), of the scores with respect to latents; order 1 only.

        Raises:
            GradientUnavailable: for an optimizer of order 1 if `gradients` is None.
        """

    def resolve(self, space: Space, context: SearchContext) -> Optimizer[Any]:
        """The same optimizer with every open parameter set for a study, for example the length of
        a schedule from the budget. The study journals the result and uses only that.
        """
        del space, context
        return self

    def started_at(self, space: Space, state: State, latents: torch.Tensor) -> State:
        """`state` before its first generation, changed so that the search begins around latents
        (K, D) of the space, with steps that fit a point found by an earlier search.

        The first generation of a search with a start has the start in row 0, whatever the optimizer
        asks for (`Proposal.led_by`), so that it ends no lower than it began; `tell` gets this row
        as any other. An optimizer that learns nothing leaves the state as it is.
        """
        del space, latents
        return state

    def center(self, space: Space, state: State) -> torch.Tensor | None:
        """The point about which the search samples, for each target: what a noisy oracle's score of
        the best row cannot tell, since the best of many noisy scores is a lucky one.

        Pure, computed from the state alone, and like everything else here independent of the other
        targets, to the last bit. Before anything was learnt it may be any finite point.

        Returns:
            (K, D) latents inside the space, in its dtype for codes: the mean of a distribution that
            the search moves, the mean of the better half of a population (its most frequent codes,
            where coordinates are codes), the latent that a library recommends. None for an
            optimizer that has no such point, such as `random`. An optimizer has one for every
            state or for none.
        """
        del space, state
        return None

    def bind(self, generator: Generator | None, network: Callable[[str], Oracle]) -> Self:
        """The same optimizer with access to the models of the study's process. Called before
        `init`. Most optimizers need no model and return themselves.

        The models are not parameters: they are not in the specification and not on the wire.

        Args:
            generator: the generator of the study; None if the study searches a bare space.
            network: a function that returns a local network by its name in the catalogue.

        Raises:
            Unsupported: if a required model is missing or has no gradients.
            ShapeMismatch: if generator and network do not fit together.
            NotFound, UnknownUnit: for a network, or a layer of a network, that does not exist.
        """
        del generator, network
        return self

    def holding(self, **models: object) -> Self:
        """A copy with `models` as attributes that are not parameters; for `bind`."""
        mine = copy.copy(self)
        for name, model in models.items():
            object.__setattr__(mine, name, model)
        return mine

    def memory_bytes(self, space: Space, targets: int) -> int:
        """The most memory that a search needs, in bytes: its state, and what `ask` and `tell` make
        besides. Called on an optimizer that is resolved and bound. Override where it is not linear
        in D.
        """
        rows = self.copies * self.population_size(space) + STATE_ROWS
        return (4 if space.dtype is None else 8) * targets * rows * space.dim

    def check(self, space: Space) -> None:
        """Checks that this optimizer can search `space`.

        Raises:
            Unsupported: for a space that it cannot search.
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
        if self.needs_image and len(space.spec.image_shape) != 3:
            raise Unsupported(
                f"{self.name} searches latents that are images (channels, height, width), and "
                f"those of this {space.kind} space are not; use a generator such as `pixels` or "
                "`cifar_vq`, or another optimizer",
                field="optimizer.name",
            )
        population = self.population_size(space)
        if not 1 <= population <= MAX_POPULATION:
            raise InvalidSpec(
                f"{self.name}: population must be 1 to {MAX_POPULATION}, got {population}",
                field="optimizer.parameters.population",
            )


def kinds(space: Space) -> set[str]:
    """The kinds that an optimizer must support to search `space`: the kinds of the space and of its
    parts, and `mixed` for a product with codes among its coordinates.
    """
    return _kinds(space.spec) | ({"mixed"} if space.mixed else set())


def _kinds(spec: SpaceSpec) -> set[str]:
    return {spec.kind}.union(*(_kinds(part) for part in spec.parts))


def _because(space: Space, missing: set[str]) -> str:
    """The parts of a product space that an optimizer cannot search."""
    if space.mixed:
        return f" with codes among its {space.dim} coordinates"
    parts = missing - {space.kind}
    return f" with {' and '.join(sorted(parts))} parts" if parts else ""
