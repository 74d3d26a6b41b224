"""The units that clients measure for a study, and the formats of their results."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blackbox_am.core.quantities import parse_quantity
from blackbox_am.core.spec import CriterionSpec, ObjectiveSpec, StudySpec
from blackbox_am.core.units import Unit
from blackbox_am.errors import InvalidInput, ShapeMismatch
from blackbox_am.studies.study import Study

Array = NDArray[Any]


def units(spec: StudySpec) -> list[str]:
    """All units of the targets, each once, in the order of the targets."""
    found: dict[str, None] = {}
    for index, target in enumerate(spec.targets):
        found.update(dict.fromkeys(_read_by(target)))
        if spec.criteria:
            found.update(dict.fromkeys(_read_by(spec.criteria[min(index, len(spec.criteria) - 1)])))
    return list(found)


def _read_by(node: ObjectiveSpec | CriterionSpec) -> Iterator[str]:
    for quantity in node.quantities:
        spelled = _spelled(quantity)
        if spelled:
            yield spelled
    for term in node.terms:
        yield from _read_by(term)


@lru_cache(maxsize=2**16)
def _spelled(quantity: str) -> str:
    """The shortest spelling of a unit; empty for a measure of the stimulus."""
    parsed = parse_quantity(quantity)
    return str(parsed) if isinstance(parsed, Unit) else ""


def check(values: Array, kind: str, rows: int) -> Array:
    """(rows, U) float64 from the clients' measurements of `rows` candidates.

    Args:
        values: (rows, U), or (rows,) for `scores`.
        kind: `activations`, `all_units` or `scores`.
        rows: N.

    Raises:
        ShapeMismatch: for another shape or dtype.
    """
    if values.dtype.kind != "f":
        raise ShapeMismatch(
            f"{kind}: expected float32 or float64, got {values.dtype.name}", field=kind
        )
    axes = 1 if kind == "scores" else 2
    if values.ndim != axes or len(values) != rows:
        expected = f"({rows},), a number" if axes == 1 else f"({rows}, U), a row"
        raise ShapeMismatch(
            f"{kind}: expected shape {expected} for each candidate, got {values.shape}", field=kind
        )
    return np.atleast_2d(values.T).T.astype(np.float64)


def own(study: Study, targets: Array, values: Array, kind: str) -> Array:
    """(N, units) values of the units of each row's own target, nan as padding.

    Args:
        study: the study of the candidates.
        targets: (N,) the target of each row.
        values: the result of `check`.
        kind: `activations` (the targets' own units already), `all_units` (a column for each of
            `units`), or `scores` (one value for targets that read one unit).

    Raises:
        ShapeMismatch: for another number of units than the study has.
        InvalidInput: for a score of a target that does not read exactly one unit.
    """
    if kind == "activations":
        return values
    mine = [int(target) for target in np.unique(targets)]
    found = np.full((len(values), study.units), np.nan)
    if kind == "scores":
        for target in mine:
            _check_single(study, target)
        found[:, :1] = values
        return found
    every = units(study.spec)
    if values.shape[1] != len(every):
        raise ShapeMismatch(
            f"all_units: expected {len(every)} columns, {', '.join(every[:8])}"
            f"{', ...' if len(every) > 8 else ''}, got {values.shape[1]}",
            field="all_units",
        )
    column = {name: place for place, name in enumerate(every)}
    for target in mine:
        columns = np.array([column[str(unit)] for unit in study.targets[target].layout.units], int)
        rows = np.flatnonzero(targets == target)
        found[rows, : len(columns)] = values[rows[:, None], columns]
    return found


def _check_single(study: Study, target: int) -> None:
    spec, found = study.spec.targets[target], study.targets[target]
    if spec.kind != "mean" or len(spec.quantities) != 1 or len(found.layout.quantities) != 1:
        raise InvalidInput(
            f"scores: target {target} ({found.objective}) is not the value of one unit, and what "
            "it reads would be lost; tell activations or all_units instead",
            field="scores",
        )
