"""The mean of some units: the usual objective, of one unit above all."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from blackbox_am.core.objective import A, Objective
from blackbox_am.core.spec import ObjectiveSpec
from blackbox_am.core.units import Unit
from blackbox_am.errors import InvalidSpec

MOST_SHOWN = 3


@dataclass(frozen=True)
class Mean(Objective):
    """The mean activation of one or more units.

    Attributes:
        addresses: the units, such as `fc:3`; kept in their shortest spelling.

    Raises:
        InvalidInput: where an address is not in the grammar.
        InvalidSpec: where there is none.
    """

    addresses: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.addresses:
            raise InvalidSpec(
                "objective 'mean': expected one unit or more, got none", field="targets.units"
            )
        short = tuple(str(Unit.parse(address)) for address in self.addresses)
        object.__setattr__(self, "addresses", short)

    def units(self) -> tuple[Unit, ...]:
        return self._units

    def score(self, activations: A) -> A:
        scores: A = activations.mean(-1)
        return scores

    def spec(self) -> ObjectiveSpec:
        return ObjectiveSpec("mean", units=self.addresses)

    def __str__(self) -> str:
        if len(self.addresses) == 1:
            return self.addresses[0]
        if len(self.addresses) <= MOST_SHOWN:
            return f"mean({', '.join(self.addresses)})"
        return f"mean of {len(self.addresses)} units, {self.addresses[0]} to {self.addresses[-1]}"

    @cached_property
    def _units(self) -> tuple[Unit, ...]:
        return tuple(Unit.parse(address) for address in self.addresses)
