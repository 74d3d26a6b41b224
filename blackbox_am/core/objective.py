"""Objectives: from quantities to one score for each row; larger is better.

Objectives form an algebra: ``a + b``, ``a - b``, ``a * b``, ``2 * a``, ``-a``.
The same code scores numpy arrays (the journal) and torch tensors (gradients).
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, ClassVar, TypeVar

import msgspec

from blackbox_am.core.quantities import Quantity, parse_quantity, shortest
from blackbox_am.core.spec import ObjectiveSpec
from blackbox_am.errors import InvalidSpec

A = TypeVar("A", bound=Any)
"""A numpy array or a torch tensor."""

_BRACKETS = re.compile(r"\(.*\)|\"[^\"]*\"")
"""The parts of a title in brackets or quotes, as in `0.5*mean(fc:1, fc:2)`."""


class Objective(ABC):
    """Computes a score from quantities."""

    @property
    def differentiable(self) -> bool:
        """Whether gradients pass through the score; False where it is constant by pieces."""
        return True

    @abstractmethod
    def reads(self) -> tuple[Quantity, ...]:
        """The U quantities of the objective, in the order of the last axis of `score`'s
        argument.
        """

    @abstractmethod
    def score(self, values: A) -> A:
        """Scores of shape (...) for values of shape (..., U); nan in, nan out."""

    @abstractmethod
    def spec(self) -> ObjectiveSpec:
        """The objective as plain data."""

    @abstractmethod
    def __str__(self) -> str:
        """A title for plots and tables."""

    def __add__(self, other: Objective) -> Objective:
        return Sum((self, other), (1.0, 1.0))

    def __sub__(self, other: Objective) -> Objective:
        return Sum((self, other), (1.0, -1.0))

    def __mul__(self, other: Objective | float) -> Objective:
        if isinstance(other, Objective):
            return Product((self, other))
        return Sum((self,), (float(other),))

    __rmul__ = __mul__

    def __neg__(self) -> Objective:
        return Sum((self,), (-1.0,))


@dataclass(frozen=True)
class Leaf(Objective):
    """An objective of listed quantities: the base class of every plug-in.

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
                f"objective {self.kind!r}: expected one quantity or more, got none",
                field="targets.quantities",
            )
        object.__setattr__(self, "quantities", shortest(self.quantities))

    def reads(self) -> tuple[Quantity, ...]:
        return self._read

    def spec(self) -> ObjectiveSpec:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        quantities, weights = values.pop("quantities"), values.pop("weights", ())
        parameters = {name: msgspec.to_builtins(value) for name, value in values.items()}
        return ObjectiveSpec(self.kind, quantities, weights, parameters)

    @cached_property
    def _read(self) -> tuple[Quantity, ...]:
        return tuple(parse_quantity(text) for text in self.quantities)


@dataclass(frozen=True)
class _Joined(Objective):
    """Several objectives; each reads its own part of the values."""

    terms: tuple[Objective, ...]

    @property
    def differentiable(self) -> bool:
        return all(term.differentiable for term in self.terms)

    def reads(self) -> tuple[Quantity, ...]:
        return tuple(quantity for term in self.terms for quantity in term.reads())

    def _scores(self, values: A) -> list[A]:
        scores, start = [], 0
        for term in self.terms:
            stop = start + len(term.reads())
            scores.append(term.score(values[..., start:stop]))
            start = stop
        return scores


@dataclass(frozen=True)
class Sum(_Joined):
    """The weighted sum of other objectives."""

    weights: tuple[float, ...]

    def score(self, values: A) -> A:
        pairs = zip(self.weights, self._scores(values), strict=True)
        terms: list[Any] = [weight * score for weight, score in pairs]
        total: A = terms[0]
        for term in terms[1:]:
            total = total + term
        return total

    def spec(self) -> ObjectiveSpec:
        return ObjectiveSpec(
            "sum", weights=self.weights, terms=tuple(term.spec() for term in self.terms)
        )

    def __str__(self) -> str:
        parts = []
        for weight, term in zip(self.weights, self.terms, strict=True):
            factor = "" if abs(weight) == 1 else f"{abs(weight):g}*"
            title = str(term) if weight == 1 else _as_factor(term)
            parts.append(f"{'-' if weight < 0 else '+'} {factor}{title}")
        text = " ".join(parts)
        return text[2:] if text.startswith("+ ") else "-" + text[2:]


@dataclass(frozen=True)
class Product(_Joined):
    """The product of other objectives."""

    def score(self, values: A) -> A:
        first, *rest = self._scores(values)
        for score in rest:
            first = first * score
        return first

    def spec(self) -> ObjectiveSpec:
        return ObjectiveSpec("product", terms=tuple(term.spec() for term in self.terms))

    def __str__(self) -> str:
        return " * ".join(_as_factor(term) for term in self.terms)


def _as_factor(term: Objective) -> str:
    """The title of `term` as a factor: in parentheses if it has several parts."""
    title = str(term)
    several = " " in _BRACKETS.sub("", title) or title.startswith("-")
    return f"({title})" if several else title
