"""Penalties: measures of the stimulus that are subtracted from every target of a study.

A penalised objective is a sum like any other, `head:3 - 0.05*stimulus.tv`: its terms are measured
and journalled one by one, and gradients pass through all of them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from blackbox_am.core.expressions import objective
from blackbox_am.core.parameters import read_setting
from blackbox_am.core.quantities import MeasureName, parse_quantity
from blackbox_am.core.spec import ObjectiveSpec
from blackbox_am.errors import InvalidSpec

_TERM = r" [-+] (?:\d[\d.e+-]*\*)?(?:stimulus|latent)\.[a-z][a-z0-9_]*"
_TERMS = re.compile(f"(?:{_TERM})+$")


def penalised(target: ObjectiveSpec, penalties: Mapping[str, float]) -> ObjectiveSpec:
    """`target` less the weighted measures of `penalties`; unchanged without any.

    Args:
        target: the objective.
        penalties: the weight of each measure, such as {"stimulus.tv": 0.05}. A negative weight
            rewards the measure.

    Raises:
        InvalidSpec: for a name that is not a measure, or a weight that is not a finite number.
    """
    if not penalties:
        return target
    weights = [-_checked(name, weight) for name, weight in penalties.items()]
    terms = (target, *map(objective, penalties))
    return ObjectiveSpec("sum", weights=(1.0, *weights), terms=terms)


def read_penalties(settings: Sequence[str]) -> dict[str, float]:
    """The penalties that texts such as `stimulus.tv=0.05` name.

    Raises:
        InvalidSpec: for a text in another form, or a measure that is named twice.
    """
    found: dict[str, float] = {}
    for setting in settings:
        pair = read_setting(setting)
        if pair is None:
            raise InvalidSpec(
                f"penalty {setting!r}: expected MEASURE=WEIGHT, such as stimulus.tv=0.05",
                field="penalties",
            )
        name, weight = pair
        if name in found:
            raise InvalidSpec(f"penalty {name!r} is given twice; leave one out", field="penalties")
        found[name] = _checked(name, weight)
    return found


def without_penalties(title: str) -> tuple[str, str]:
    """The title of the target itself, and the rest of `title`: its penalties, or nothing."""
    rest = _TERMS.search(title)
    return (title, "") if rest is None else (title[: rest.start()], rest[0].strip())


def _is_measure(name: str) -> bool:
    return isinstance(parse_quantity(name), MeasureName)


def _checked(name: str, weight: Any) -> float:
    if not _is_measure(name):
        near = f"; did you mean {name.lower()!r}?" if _is_measure(name.lower()) else ""
        raise InvalidSpec(
            f"penalty {name!r}: expected a measure of the stimulus, such as stimulus.tv{near}; a "
            "unit is inhibited with an objective `weighted`",
            field="penalties",
        )
    if isinstance(weight, bool) or not isinstance(weight, (int, float)):
        raise InvalidSpec(
            f"penalty {name!r}: expected a number as its weight, got {weight!r}", field="penalties"
        )
    if not math.isfinite(weight):
        raise InvalidSpec(
            f"penalty {name!r}: expected a finite weight, got {weight}", field="penalties"
        )
    return float(weight)
