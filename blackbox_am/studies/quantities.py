"""The quantities that a study reads, and the forms in which clients tell them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blackbox_am.core.spec import ObjectiveSpec, StudySpec
from blackbox_am.core.units import Unit
from blackbox_am.errors import InvalidInput, ShapeMismatch
from blackbox_am.studies.study import Study

Array = NDArray[Any]


def names(spec: StudySpec) -> list[str]:
    """All quantities that the targets read, each once, in the order of the targets."""
    return list(dict.fromkeys(name for target in spec.targets for name in _read_by(target)))


def _read_by(target: ObjectiveSpec) -> Iterator[str]:
    yield from map(_spelled, target.quantities)
    for term in target.terms:
        yield from _read_by(term)


@lru_cache(maxsize=2**16)
def _spelled(quantity: str) -> str:
    """The shortest spelling, by which objectives know a quantity."""
    return str(Unit.parse(quantity))


def check(values: Array, kind: str, rows: int) -> Array:
    """(rows, U) floats for what clients measured of `rows` candidates.

    Args:
        values: (rows, U), or (rows,) for `scores`.
        kind: `activations`, `all_quantities` or `scores`.
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
    with np.errstate(over="ignore"):  # what float32 cannot hold is refused as infinite
        return np.atleast_2d(values.T).T.astype(np.float32)


def own(study: Study, targets: Array, values: Array, kind: str) -> Array:
    """(N, U) values of the quantities of each row's own target, nan as padding.

    Args:
        study: whose candidates were measured.
        targets: (N,) the target of each row.
        values: as `check` returns them.
        kind: `activations` (the targets' own quantities already), `all_quantities` (a column for
            each of `names`), or `scores` (one value for targets that read one quantity).

    Raises:
        ShapeMismatch: for another number of quantities than the study has.
        InvalidInput: for a score of a target that reads more than one quantity.
    """
    if kind == "activations":
        return values
    mine = {
        int(t): [str(q) for q in study.targets[t].objective.reads()] for t in np.unique(targets)
    }
    found = np.full((len(values), study.quantities), np.nan, values.dtype)
    if kind == "scores":
        for target in mine:
            _check_single(study, target)
        found[:, :1] = values
        return found
    every = names(study.spec)
    if values.shape[1] != len(every):
        raise ShapeMismatch(
            f"all_quantities: expected {len(every)} columns, {', '.join(every[:8])}"
            f"{', ...' if len(every) > 8 else ''}, got {values.shape[1]}",
            field="all_quantities",
        )
    column = {name: place for place, name in enumerate(every)}
    for target, wanted in mine.items():
        rows = np.flatnonzero(targets == target)
        columns = np.array([column[name] for name in wanted])
        found[rows, : len(wanted)] = values[rows[:, None], columns]
    return found


def _check_single(study: Study, target: int) -> None:
    spec: ObjectiveSpec = study.spec.targets[target]
    if spec.kind != "mean" or len(study.targets[target].objective.reads()) != 1:
        raise InvalidInput(
            f"scores: target {target} ({study.targets[target].objective}) is not the value of one "
            "quantity, and what it reads would be lost; tell activations or all_quantities instead",
            field="scores",
        )
