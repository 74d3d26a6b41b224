"""Success criteria: from quantities to a yes or no for each row.

Criteria can be combined: ``a & b`` is met if both are met, ``a | b`` if one is met. The same code
works on numpy arrays (the journal) and on torch tensors.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, ClassVar

import msgspec

from blackbox_am.core.objective import A
from blackbox_am.core.quantities import Quantity, parse_quantity, shortest
from blackbox_am.core.spec import CriterionSpec
from blackbox_am.errors import InvalidSpec


class Criterion(ABC):
    """Decides whether a row is a success."""

    @abstractmethod
    def reads(self) -> tuple[Quantity, ...]:
        """The U quantities of the criterion, in the order of the last axis of `met`'s argument."""

    @abstractmethod
    def met(self, values: A) -> A:
        """Booleans of shape (...) for values of shape (..., U); a row with nan is never a
        success.
        """

    @abstractmethod
    def spec(self) -> CriterionSpec:
        """The criterion as plain data."""

    @abstractmethod
    def __str__(self) -> str:
        """A short text for messages, such as `fc:3 at least 2`."""

    def __and__(self, other: Criterion) -> Criterion:
        return All((self, other))

    def __or__(self, other: Criterion) -> Criterion:
        return AnyOf((self, other))


@dataclass(frozen=True)
class LeafCriterion(Criterion):
    """A criterion of listed quantities: the base class of every plug-in.

    A subclass is a frozen dataclass. Its fields are its parameters and its schema.

    Attributes:
        quantities: the quantities, such as `fc:3`, in their shortest spelling.

    Raises:
        InvalidInput: if an address is not in the grammar.
        InvalidSpec: if there is no quantity.
    """

    quantities: tuple[str, ...]

    kind: ClassVar[str]
    """The name of the plug-in, which is the name of its file."""

    def __post_init__(self) -> None:
        if not self.quantities:
            raise InvalidSpec(
                f"criterion {self.kind!r}: expected one quantity or more, got none",
                field="criteria.quantities",
            )
        object.__setattr__(self, "quantities", shortest(self.quantities))

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
    """Several criteria; each reads its own part of the values."""

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
    """A criterion that is met if every term is met."""

    kind: ClassVar[str] = "all"
    word: ClassVar[str] = "and"

    def met(self, values: A) -> A:
        first, *rest = self._met(values)
        for other in rest:
            first = first & other
        return first  # type: ignore[no-any-return]  # as of the terms


@dataclass(frozen=True)
class AnyOf(_Joined):
    """A criterion that is met if one term is met."""

    kind: ClassVar[str] = "any"
    word: ClassVar[str] = "or"

    def met(self, values: A) -> A:
        first, *rest = self._met(values)
        for other in rest:
            first = first | other
        return first  # type: ignore[no-any-return]  # as of the terms
