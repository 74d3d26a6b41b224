"""The mean square of activations: whatever a layer sees already, and more of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from blackbox_am.core.objective import A, Leaf
from blackbox_am.core.quantities import parse_quantity
from blackbox_am.core.units import Unit
from blackbox_am.errors import InvalidSpec


@dataclass(frozen=True)
class Deepdream(Leaf):
    """The mean square of the activations of units, or of whole layers.

    Source: A. Mordvintsev, C. Olah and M. Tyka, "Inceptionism: Going Deeper into Neural Networks"
    (2015), and the objective `deepdream` of Lucid: the mean of the squares over all units and
    positions of a layer. The squares are taken where the layer is read, at each position, by the
    reduction `square` of the address: `layer2` becomes `layer2!square`, which is the mean square
    of the whole layer, and `layer2:5` becomes `layer2:5!square`, that of one channel.

    Attributes:
        quantities: whole layers such as `layer2`, or units such as `layer2:5`, with equal weights.

    Raises:
        InvalidSpec: for a measure of the stimulus, or an address with another reduction.
    """

    kind: ClassVar[str] = "deepdream"

    def __post_init__(self) -> None:
        super().__post_init__()
        squares = []
        for quantity in map(parse_quantity, self.quantities):
            if not isinstance(quantity, Unit) or quantity.reduce not in ("mean", "square"):
                raise InvalidSpec(
                    "objective 'deepdream': expected layers such as 'layer2', or units such as "
                    f"'layer2:5', without another reduction than !square, got {str(quantity)!r}",
                    field="targets.quantities",
                )
            squares.append(str(replace(quantity, reduce="square")))
        object.__setattr__(self, "quantities", tuple(squares))

    def score(self, values: A) -> A:
        scores: A = values.mean(-1)
        return scores

    def __str__(self) -> str:
        names = [name.removesuffix("!square") for name in self.quantities]
        if len(names) > 3:
            return f"mean square of {len(names)} units, {names[0]} to {names[-1]}"
        return f"mean square of {', '.join(names)}"
