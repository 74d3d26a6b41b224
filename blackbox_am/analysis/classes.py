"""The true classes of labelled stimuli, which an analysis compares with those of a model."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from blackbox_am.errors import InvalidSpec


def true_classes(given: Any, rows: int, classes: int, field: str) -> NDArray[np.int64]:
    """(rows,) numbers of classes, from 0, that a caller gave.

    Args:
        given: (rows,) whole numbers.
        rows: number of stimuli, one or more.
        classes: number of classes of the model.
        field: the parameter that gives them, for messages.

    Raises:
        InvalidSpec: for another shape, texts, or numbers that are no classes of the model.
    """
    found = np.asarray(given)
    fits = found.shape == (rows,) and rows > 0 and found.dtype.kind in "biuf"
    if not fits or not np.isin(found, np.arange(classes)).all():
        raise InvalidSpec(
            f"{field}: expected a whole number from 0 to {classes - 1} for each of {rows:,} "
            f"stimuli, one or more, got {_said(found)}",
            field=field,
        )
    return found.astype(np.int64)


def _said(found: NDArray[Any]) -> str:
    text = f"{found.dtype.name} of shape {found.shape}"
    if found.dtype.kind in "biuf" and found.size:
        text += f", from {found.min():g} to {found.max():g}"
    return text
