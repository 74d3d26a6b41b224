"""What is maximised: activations in, one number out, larger is better.

Objectives form an algebra: ``a + b``, ``a - b``, ``a * b``, ``2 * a``, ``-a``.
The same code scores numpy arrays (the journal) and torch tensors (gradients).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, TypeVar

from blackbox_am.core.spec import ObjectiveSpec
from blackbox_am.core.units import Unit

A = TypeVar("A", bound=Any)
"""A numpy array or a torch tensor."""


class Objective(ABC):
    """A score of activations."""

    @abstractmethod
    def units(self) -> tuple[Unit, ...]:
        """The units it reads, U of them, in the order of `score`'s last axis."""

    @abstractmethod
    def score(self, activations: A) -> A:
        """Scores of shape (...) for activations of shape (..., U). nan in, nan out."""

    @abstractmethod
    def spec(self) -> ObjectiveSpec:
        """Its description as plain data."""

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
class _Joined(Objective):
    """Several objectives, each reading its own slice of the activations."""

    terms: tuple[Objective, ...]

    def units(self) -> tuple[Unit, ...]:
        return tuple(unit for term in self.terms for unit in term.units())

    def _scores(self, activations: A) -> list[A]:
        scores, start = [], 0
        for term in self.terms:
            stop = start + len(term.units())
            scores.append(term.score(activations[..., start:stop]))
            start = stop
        return scores


@dataclass(frozen=True)
class Sum(_Joined):
    """The weighted sum of other objectives."""

    weights: tuple[float, ...]

    def score(self, activations: A) -> A:
        pairs = zip(self.weights, self._scores(activations), strict=True)
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
        pairs = zip(self.weights, self.terms, strict=True)
        return " + ".join(f"{term}" if w == 1 else f"{w:g}*({term})" for w, term in pairs)


@dataclass(frozen=True)
class Product(_Joined):
    """The product of other objectives."""

    def score(self, activations: A) -> A:
        first, *rest = self._scores(activations)
        for score in rest:
            first = first * score
        return first

    def spec(self) -> ObjectiveSpec:
        return ObjectiveSpec("product", terms=tuple(term.spec() for term in self.terms))

    def __str__(self) -> str:
        return " * ".join(f"({term})" for term in self.terms)
