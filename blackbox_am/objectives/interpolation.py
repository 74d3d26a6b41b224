"""What lies between two units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from blackbox_am.core.objective import A, Leaf
from blackbox_am.errors import InvalidSpec


@dataclass(frozen=True)
class Interpolation(Leaf):
    """A mixture of two units: (1 - t) a + t b.

    Several targets with t from 0 to 1 show how the stimulus of one unit turns into that of the
    other::

        targets = [Interpolation(("head:3", "head:5"), t=k / 4) for k in range(5)]

    Source: C. Olah, A. Mordvintsev and L. Schubert, "Feature Visualization" (Distill, 2017), and
    the objective `channel_interpolate` of Lucid, which puts the steps into one batch. Units of
    different layers have different scales: the larger one has more influence at t = 0.5.

    Attributes:
        quantities: the two units a and b.
        t: place between them, from 0 (only a) to 1 (only b).

    Raises:
        InvalidSpec: for another number of quantities, or a place outside [0, 1].
    """

    kind: ClassVar[str] = "interpolation"

    t: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.quantities) != 2:
            raise InvalidSpec(
                f"objective 'interpolation': expected two quantities, got {len(self.quantities)}",
                field="targets.quantities",
            )
        if not 0 <= self.t <= 1:
            raise InvalidSpec(
                f"objective 'interpolation': expected t from 0 to 1, got {self.t}",
                field="targets.parameters.t",
            )

    def score(self, values: A) -> A:
        scores: A = (1 - self.t) * values[..., 0] + self.t * values[..., 1]
        return scores

    def __str__(self) -> str:
        one, other = self.quantities
        return f"{1 - self.t:.3g}*{one} + {self.t:.3g}*{other}"
