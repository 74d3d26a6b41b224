"""Quantities of objectives and criteria: units of the model, and measures of the stimulus.

A quantity is written as a unit's address (``fc:3``, see `core.units`) or as the name of a
measure: ``stimulus.tv``, ``latent.norm``. A model's layer with the name of a measure is addressed
with a selector or with a quoted name.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from blackbox_am.core.units import MEASURE, Unit


@dataclass(frozen=True, slots=True)
class MeasureName:
    """A number that is computed from the stimulus or the latent, without the model.

    Attributes:
        name: such as `stimulus.tv`.
    """

    name: str

    def __str__(self) -> str:
        return self.name


Quantity = Unit | MeasureName

REMEMBERED = 4096
"""Number of quantities that are remembered by their text, as a study parses each many times."""
LONGEST_REMEMBERED = 200
"""The most characters of a remembered text."""


def parse_quantity(text: str) -> Quantity:
    """The quantity that `text` names; the inverse of `str`.

    Raises:
        InvalidInput: if `text` is neither a measure's name nor in the grammar of units.
    """
    return _remembered(text) if len(text) <= LONGEST_REMEMBERED else _parsed(text)


def _parsed(text: str) -> Quantity:
    return MeasureName(text) if MEASURE.fullmatch(text) else Unit.parse(text)


_remembered = lru_cache(REMEMBERED)(_parsed)


def shortest(quantities: str | Iterable[str]) -> tuple[str, ...]:
    """Addresses in their shortest spelling. A text is one address, not a sequence of characters.

    Raises:
        InvalidInput: if an address is not in the grammar.
    """
    given = (quantities,) if isinstance(quantities, str) else quantities
    return tuple(str(parse_quantity(text)) for text in given)
