"""Measurements of candidates, checked and split before they are sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from blackbox_am.client.connection import SEND_BYTES
from blackbox_am.core.numbers import numbers_in
from blackbox_am.errors import ShapeMismatch

Model = Callable[[NDArray[Any]], ArrayLike]
"""A function from the latents or stimuli of N candidates to N measurements."""
FLOAT32_BYTES = 4
ID_BYTES = 16
"""Largest size in bytes of one candidate's id in a request."""


def measured(values: ArrayLike, rows: int) -> NDArray[Any]:
    """(N,) or (N, U) float32 or float64: the measurements of N = `rows` candidates.

    Raises:
        ShapeMismatch: for another shape, and for values that are no numbers.
    """
    wanted = f"values: expected one number, or one row of numbers, for each of {rows} candidates"
    array = numbers_in(values)
    if array is None:
        raise ShapeMismatch(
            f"{wanted}, as an array, a tensor or lists of real numbers (None or nan where a "
            f"measurement failed), got {_shown(values)}",
            field="values",
        )
    if array.dtype.kind in "iub" or not array.size:
        array = array.astype(np.float64)
    if array.ndim not in (1, 2) or len(array) != rows:
        raise ShapeMismatch(
            f"{wanted}, got {array.dtype} of shape {array.shape}",
            field="values",
        )
    return array.astype(np.float32) if array.dtype.itemsize < FLOAT32_BYTES else array


def _shown(values: object) -> str:
    kind = type(values).__name__
    if isinstance(values, (list, tuple)) and values:
        return f"a {kind} that begins with {type(values[0]).__name__}"
    dtype = getattr(values, "dtype", None)
    return kind if dtype is None else f"{kind} of {dtype}"


def pieces(candidates: int, row_bytes: int) -> Iterator[slice]:
    """Slices of the candidates, each of which fits into a message; one empty slice without
    candidates.

    Args:
        candidates: their number.
        row_bytes: size in bytes of the measurements of one candidate.
    """
    rows = max(1, SEND_BYTES // (ID_BYTES + row_bytes))
    for start in range(0, max(candidates, 1), rows):
        yield slice(start, start + rows)
