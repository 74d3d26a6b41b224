"""Quantities within bounds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from blackbox_am.core.criterion import LeafCriterion
from blackbox_am.core.objective import A
from blackbox_am.errors import InvalidSpec


@dataclass(frozen=True)
class Threshold(LeafCriterion):
    """Met if every quantity lies within the bounds, both bounds included.

    Attributes:
        quantities: the compared quantities.
        at_least, at_most: the bounds; None for no bound. One of them is given.

    Raises:
        InvalidSpec: without a bound, for a bound that is not finite, or for a lower bound above the
            upper bound.
    """

    kind: ClassVar[str] = "threshold"

    at_least: float | None = None
    at_most: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        bounds = [bound for bound in (self.at_least, self.at_most) if bound is not None]
        if not bounds or not all(math.isfinite(bound) for bound in bounds):
            raise InvalidSpec(
                "criterion 'threshold': expected a finite at_least or at_most, got "
                f"at_least={self.at_least}, at_most={self.at_most}",
                field="criteria.parameters",
            )
        if bounds != sorted(bounds):
            raise InvalidSpec(
                f"criterion 'threshold': at_least {self.at_least} lies above at_most "
                f"{self.at_most}, so nothing can meet it; exchange them",
                field="criteria.parameters",
            )

    def met(self, values: A) -> A:
        within = values == values  # false for nan
        if self.at_least is not None:
            within = within & (values >= self.at_least)
        if self.at_most is not None:
            within = within & (values <= self.at_most)
        met: A = within.all(-1)
        return met

    def __str__(self) -> str:
        bounds = [
            f"{word} {bound:g}"
            for word, bound in (("at least", self.at_least), ("at most", self.at_most))
            if bound is not None
        ]
        return f"{', '.join(self.quantities[:3])} {' and '.join(bounds)}"
