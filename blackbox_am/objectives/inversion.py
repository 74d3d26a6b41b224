"""How near the activations of a layer are to given ones: the inversion of a representation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from blackbox_am.core.objective import A, Leaf
from blackbox_am.objectives._vectors import check_vector, difference


@dataclass(frozen=True)
class Inversion(Leaf):
    """Minus the squared distance of the activations a to given activations v, in units of v:

    -|a - v|^2 / |v|^2

    The score is 0 where the activations are equal, and -1 for activations of 0.

    Source: A. Mahendran and A. Vedaldi, "Understanding Deep Image Representations by Inverting
    Them", CVPR 2015, equation 2. Their regularisers of the image are penalties here, such as
    ``stimulus.tv``.

    Attributes:
        quantities: units of a layer, such as `layer3:0`, `layer3:1`, or positions of its maps.
        vector: v, one number for each quantity: the activations for the stimulus to be found again.

    Raises:
        InvalidSpec: for a vector of another length, of zeros, or with numbers that are not finite.
    """

    kind: ClassVar[str] = "inversion"

    vector: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        check_vector("objective 'inversion'", self.vector, len(self.quantities), "vector")
        object.__setattr__(self, "vector", tuple(float(number) for number in self.vector))

    def score(self, values: A) -> A:
        left = difference(values, self.vector)
        scores: A = (left * left).sum(-1) / -sum(number * number for number in self.vector)
        return scores

    def __str__(self) -> str:
        names = self.quantities
        units = names[0] if len(names) == 1 else f"{len(names)} units, {names[0]} to {names[-1]}"
        return f"inversion of {units}"
