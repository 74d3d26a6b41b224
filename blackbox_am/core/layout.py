"""The quantities that are measured for each target, and their columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from blackbox_am.core.criterion import Criterion
from blackbox_am.core.objective import Objective
from blackbox_am.core.quantities import MeasureName, Quantity
from blackbox_am.core.spec import ObjectiveSpec
from blackbox_am.core.units import Unit


@dataclass(frozen=True)
class Layout:
    """The quantities that are measured for one target, each once: units first, then measures.

    Attributes:
        units: units of the model, in the order in which they are first read.
        measures: measures of the stimulus, in the order in which they are first read.
    """

    units: tuple[Unit, ...]
    measures: tuple[MeasureName, ...] = ()

    @classmethod
    def of(cls, quantities: Iterable[Quantity]) -> Layout:
        """The layout of `quantities`, which may contain repetitions."""
        once = tuple(dict.fromkeys(quantities))
        return cls(
            tuple(quantity for quantity in once if isinstance(quantity, Unit)),
            tuple(quantity for quantity in once if isinstance(quantity, MeasureName)),
        )

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """All quantities, in the order of the columns."""
        return (*self.units, *self.measures)

    def columns(self, quantities: Iterable[Quantity]) -> tuple[int, ...]:
        """The column of each of `quantities`."""
        place = {quantity: column for column, quantity in enumerate(self.quantities)}
        return tuple(place[quantity] for quantity in quantities)


def layouts_of(
    objectives: Sequence[Objective], criteria: Sequence[Criterion]
) -> tuple[Layout, ...]:
    """The layout of each target: the quantities of its objective, then those of its criterion."""
    more: list[tuple[Quantity, ...]] = [criterion.reads() for criterion in criteria]
    if len(more) <= 1:
        more = (more or [()]) * len(objectives)
    return tuple(
        Layout.of((*objective.reads(), *others))
        for objective, others in zip(objectives, more, strict=True)
    )


def form_of(spec: ObjectiveSpec) -> tuple[object, ...]:
    """A key that is equal for objectives that differ only in their quantities."""
    parameters = repr(sorted(spec.parameters.items()))
    terms = tuple(form_of(term) for term in spec.terms)
    return (spec.kind, len(spec.quantities), spec.weights, parameters, terms)
