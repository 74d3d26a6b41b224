"""The mean of some quantities: the usual objective, of one unit above all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from blackbox_am.core.objective import A, Leaf

MOST_SHOWN = 3


@dataclass(frozen=True)
class Mean(Leaf):
    """The mean of one or more quantities.

    Attributes:
        quantities: the quantities to read, such as `fc:3`; stored in their shortest spelling.

    Raises:
        InvalidInput: if an address is not in the grammar.
        InvalidSpec: if there is no quantity.
    """

    kind: ClassVar[str] = "mean"

    def score(self, values: A) -> A:
        scores: A = values.mean(-1)
        return scores

    def __str__(self) -> str:
        names = self.quantities
        if len(names) == 1:
            return names[0]
        if len(names) <= MOST_SHOWN:
            return f"mean({', '.join(names)})"
        return f"mean of {len(names)} units, {names[0]} to {names[-1]}"
