"""When a target has succeeded: quantities in, yes or no out.

Criteria are joined: ``a & b`` is met where both are, ``a | b`` where one is.
The same code judges numpy arrays (the journal) and torch tensors.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, ClassVar

import msgspec

from blackbox_am.core.objective import A
from blackbox_am.core.quantities import Quantity, parse_quantity
from blackbox_am.core.spec import CriterionSpec
from blackbox_am.errors import InvalidSpec


class Criterion(ABC):
    """Whether a row is a success."""

    @abstractmethod
    def reads(self) -> tuple[Quantity, ...]:
        """The quantities that it reads, U of them, in the order of `met`'s last axis."""

    @abstractmethod
    def met(self, values: A) -> A:
        """Booleans of shape (...) for values of shape (..., U). A row with nan is none."""

    @abstractmethod
    def spec(self) -> CriterionSpec:
        """Its description as plain data."""

    @abstractmethod
    def __str__(self) -> str:
        """Words for messages, such as `fc:3 at least 2`."""

    def __and__(self, other: Criterion) -> Criterion:
        return All((self, other))

    def __or__(self, other: Criterion) -> Criterion:
        return AnyOf((self, other))


@dataclass(frozen=True)
class LeafCriterion(Criterion):
    """A criterion of quantities that it names itself: the base of every plug-in.

    A subclass is a frozen dataclass. Its fields are its parameters and its schema.

    Attributes:
        quantities: what it reads, such as `fc:3`; kept in their shortest spelling.

    Raises:
        InvalidInput: where an address is not in the grammar.
        InvalidSpec: where there is no quantity.
    """

    quantities: tuple[str, ...]

    kind: ClassVar[str]
    """The name of its file, by which specifications call it."""

    def __post_init__(self) -> None:
        if not self.quantities:
            raise InvalidSpec(
                f"criterion {self.kind!r}: expected one quantity or more, got none",
                field="criteria.quantities",
            )
        short = tuple(str(parse_quantity(text)) for text in self.quantities)
        object.__setattr__(self, "quantities", short)

    def reads(self) -> tuple[Quantity, ...]:
        return self._read

    def spec(self) -> CriterionSpec:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        quantities = values.pop("quantities")
        parameters = {name: msgspec.to_builtins(value) for name, value in values.items()}
        return CriterionSpec(self.kind, quantities, parameters)

    @cached_property
    def _read(self) -> tuple[Quantity, ...]:
        return tuple(parse_quantity(text) for text in self.quantities)


@dataclass(frozen=True)
class _Joined(Criterion):
    """Several criteria, each reading its own slice of the values."""

    terms: tuple[Criterion, ...]

    kind: ClassVar[str]
    word: ClassVar[str]

    def reads(self) -> tuple[Quantity, ...]:
        return tuple(quantity for term in self.terms for quantity in term.reads())

    def spec(self) -> CriterionSpec:
        return CriterionSpec(self.kind, terms=tuple(term.spec() for term in self.terms))

    def __str__(self) -> str:
        return f" {self.word} ".join(f"({term})" for term in self.terms)

    def _met(self, values: A) -> list[Any]:
        met, start = [], 0
        for term in self.terms:
            stop = start + len(term.reads())
            met.append(term.met(values[..., start:stop]))
            start = stop
        return met


@dataclass(frozen=True)
class All(_Joined):
    """Met where every term is."""

    kind: ClassVar[str] = "all"
    word: ClassVar[str] = "and"

    def met(self, values: A) -> A:
        first, *rest = self._met(values)
        for other in rest:
            first = first & other
        return first  # type: ignore[no-any-return]  # as of the terms


@dataclass(frozen=True)
class AnyOf(_Joined):
    """Met where one term is."""

    kind: ClassVar[str] = "any"
    word: ClassVar[str] = "or"

    def met(self, values: A) -> A:
        first, *rest = self._met(values)
        for other in rest:
            first = first | other
        return first  # type: ignore[no-any-return]  # as of the terms
