"""A weighted sum of units: excite some, inhibit others."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

from blackbox_am.core.objective import A, Objective
from blackbox_am.core.spec import ObjectiveSpec
from blackbox_am.core.units import Unit
from blackbox_am.errors import InvalidSpec

MOST_SHOWN = 3


@dataclass(frozen=True)
class Weighted(Objective):
    """The sum of w_i times the activation of unit i. A negative weight inhibits.

    The sum is not divided by anything: weights of 1 give the sum of the units, not their
    mean, and doubling all weights doubles the score.

    Attributes:
        addresses: the units, such as `fc:3`; kept in their shortest spelling.
        weights: one finite number a unit.

    Raises:
        InvalidInput: where an address is not in the grammar.
        InvalidSpec: where there is no unit, or not one finite weight for each.
    """

    addresses: tuple[str, ...]
    weights: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not self.addresses:
            raise InvalidSpec(
                "objective 'weighted': expected one unit or more, got none", field="targets.units"
            )
        if len(self.weights) != len(self.addresses):
            raise InvalidSpec(
                f"objective 'weighted': expected one weight a unit, got {len(self.weights)} "
                f"weights for {len(self.addresses)} units",
                field="targets.weights",
            )
        if not all(math.isfinite(weight) for weight in self.weights):
            raise InvalidSpec(
                f"objective 'weighted': expected finite weights, got {self.weights}",
                field="targets.weights",
            )
        short = tuple(str(Unit.parse(address)) for address in self.addresses)
        object.__setattr__(self, "addresses", short)
        object.__setattr__(self, "weights", tuple(float(weight) for weight in self.weights))

    def units(self) -> tuple[Unit, ...]:
        return self._units

    def score(self, activations: A) -> A:
        # Term by term, in order: numpy and torch then agree to the last bit.
        scores: A = self.weights[0] * activations[..., 0]
        for i, weight in enumerate(self.weights[1:], start=1):
            scores = scores + weight * activations[..., i]
        return scores

    def spec(self) -> ObjectiveSpec:
        return ObjectiveSpec("weighted", units=self.addresses, weights=self.weights)

    def __str__(self) -> str:
        pairs = list(zip(self.weights, self.addresses, strict=True))
        terms = [
            f"{'-' if weight < 0 else '+'} {_factor(weight)}{address}"
            for weight, address in pairs[:MOST_SHOWN]
        ]
        if len(pairs) > MOST_SHOWN:
            terms.append(f"+ {len(pairs) - MOST_SHOWN} more")
        text = " ".join(terms)
        return text[2:] if text.startswith("+ ") else "-" + text[2:]

    @cached_property
    def _units(self) -> tuple[Unit, ...]:
        return tuple(Unit.parse(address) for address in self.addresses)


def _factor(weight: float) -> str:
    return "" if abs(weight) == 1 else f"{abs(weight):g}*"
