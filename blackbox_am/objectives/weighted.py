"""A weighted sum of quantities: excite some units, inhibit others, penalise measures."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from blackbox_am.core.objective import A, Leaf
from blackbox_am.errors import InvalidSpec

MOST_SHOWN = 3


@dataclass(frozen=True)
class Weighted(Leaf):
    """The sum of w_i times quantity i. A negative weight inhibits a unit.

    The sum is not divided by anything: weights of 1 give the sum of the quantities, not their
    mean, and doubling all weights doubles the score.

    Attributes:
        quantities: the quantities to read, such as `fc:3`; stored in their shortest spelling.
        weights: one finite number a quantity.

    Raises:
        InvalidInput: if an address is not in the grammar.
        InvalidSpec: if there is no quantity, or not exactly one finite weight for each quantity.
    """

    kind: ClassVar[str] = "weighted"

    weights: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.weights) != len(self.quantities):
            raise InvalidSpec(
                f"objective 'weighted': expected one weight a quantity, got {len(self.weights)} "
                f"weights for {len(self.quantities)} quantities",
                field="targets.weights",
            )
        if not all(math.isfinite(weight) for weight in self.weights):
            raise InvalidSpec(
                f"objective 'weighted': expected finite weights, got {self.weights}",
                field="targets.weights",
            )
        object.__setattr__(self, "weights", tuple(float(weight) for weight in self.weights))

    def score(self, values: A) -> A:
        # Term by term, in order: numpy and torch then agree to the last bit.
        scores: A = self.weights[0] * values[..., 0]
        for i, weight in enumerate(self.weights[1:], start=1):
            scores = scores + weight * values[..., i]
        return scores

    def __str__(self) -> str:
        pairs = list(zip(self.weights, self.quantities, strict=True))
        terms = [
            f"{'-' if weight < 0 else '+'} {_factor(weight)}{name}"
            for weight, name in pairs[:MOST_SHOWN]
        ]
        if len(pairs) > MOST_SHOWN:
            terms.append(f"+ {len(pairs) - MOST_SHOWN} more")
        text = " ".join(terms)
        return text[2:] if text.startswith("+ ") else "-" + text[2:]


def _factor(weight: float) -> str:
    return "" if abs(weight) == 1 else f"{abs(weight):g}*"
