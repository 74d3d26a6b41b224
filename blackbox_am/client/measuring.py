"""Measurements of candidates, checked and split before they are sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from blackbox_am.client.connection import SEND_BYTES
from blackbox_am.errors import ShapeMismatch

Model = Callable[[NDArray[Any]], ArrayLike]
"""A function from the latents or stimuli of N candidates to N measurements."""
ID_BYTES = 16
"""Largest size in bytes of one candidate's id in a request."""


def measured(values: ArrayLike, rows: int) -> NDArray[Any]:
    """(N,) or (N, U) float32 or float64: the measurements of N = `rows` candidates.

    Raises:
        ShapeMismatch: for another shape, and for values that are no numbers.
    """
    array = np.asarray(values)
    if array.dtype.kind in "iub" or not array.size:
        array = array.astype(np.float64)
    if array.dtype.kind != "f" or array.ndim not in (1, 2) or len(array) != rows:
        raise ShapeMismatch(
            f"values: expected one number, or one row of numbers, for each of {rows} candidates, "
            f"got {array.dtype} of shape {array.shape}",
            field="values",
        )
    return array if array.dtype.name in ("float32", "float64") else array.astype(np.float32)


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
