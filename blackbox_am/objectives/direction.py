"""A direction in the space of a layer's units."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from blackbox_am.core.objective import A, Leaf
from blackbox_am.errors import InvalidSpec
from blackbox_am.objectives._vectors import check_vector, length, product

LEAST_COSINE = 0.1


@dataclass(frozen=True)
class Direction(Leaf):
    """How far the activations of a layer point in a given direction.

    With the activations a of the quantities, the vector v and c = max(0.1, cos(a, v)) the score is

    <a, v> c^power

    With power 0 the score is the scalar product: a direction may be reached by large activations
    that point elsewhere too. A larger power requires that the activations point in the direction.
    Below a cosine of 0.1 the factor is constant, so that a search that begins far from the
    direction has a slope.

    Source: C. Olah, A. Mordvintsev and L. Schubert, "Feature Visualization" (Distill, 2017), and
    the objective `direction` of Lucid. There the product is taken at each position of a map and
    averaged afterwards. Here each quantity is one number: the mean over the map, or the activation
    at a position that its address names (`layer3:7@center`).

    Attributes:
        quantities: units of a layer, such as `layer3:0`, `layer3:1`.
        vector: v, one number for each quantity. Its length is a factor of the score.
        power: of the cosine, 0 or more.

    Raises:
        InvalidSpec: for a vector of another length, of zeros, or with numbers that are not finite,
            and for a negative power.
    """

    kind: ClassVar[str] = "direction"

    vector: tuple[float, ...] = ()
    power: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_vector("objective 'direction'", self.vector, len(self.quantities), "vector")
        if not 0 <= self.power < math.inf:
            raise InvalidSpec(
                f"objective 'direction': expected a power of 0 or more, got {self.power}",
                field="targets.parameters.power",
            )
        object.__setattr__(self, "vector", tuple(float(number) for number in self.vector))

    def score(self, values: A) -> A:
        along = product(values, self.vector)
        if self.power == 0:
            return along
        cosine = along / (length(values) * math.hypot(*self.vector))
        scores: A = along * cosine.clip(min=LEAST_COSINE) ** self.power
        return scores

    def __str__(self) -> str:
        names = self.quantities
        units = names[0] if len(names) == 1 else f"{len(names)} units, {names[0]} to {names[-1]}"
        return f"direction in {units}" + (f", cosine^{self.power:g}" if self.power else "")
