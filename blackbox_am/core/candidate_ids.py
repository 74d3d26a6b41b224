"""Ids of candidates: the place of a candidate in its study, packed into one 64-bit number.

::

    bits 34 to 63   generation, below 2^30
    bits 17 to 33   target, below 2^17
    bits  0 to 16   row, below 2^17

Only this module packs and unpacks ids, for the service and for clients.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from blackbox_am.errors import InvalidInput

ROW_BITS = 17
TARGET_BITS = 17
MAX_POPULATION = 2**ROW_BITS
"""Largest number of rows of one target in one generation."""

Ids = NDArray[np.uint64]
Places = NDArray[np.int64]


def pack(generation: int, targets: ArrayLike, rows: ArrayLike) -> Ids:
    """The ids of candidates of one generation, (N,) uint64.

    Args:
        generation: from 0, below 2^30.
        targets: (N,) integers from 0, below 2^17.
        rows: (N,) integers from 0, below 2^17.
    """
    places = np.asarray(targets, np.uint64) << np.uint64(ROW_BITS)
    high = np.uint64(generation) << np.uint64(ROW_BITS + TARGET_BITS)
    ids: Ids = high | places | np.asarray(rows, np.uint64)
    return ids


def check(ids: ArrayLike, *, field: str = "candidate_ids") -> Ids:
    """`ids` as (N,) uint64.

    Raises:
        InvalidInput: if `ids` is not a list of 64-bit integers.
    """
    try:
        if isinstance(ids, np.ndarray) and ids.ndim == 1 and ids.dtype.kind == "u":
            return ids.astype(np.uint64)
        # The loop is needed because numpy converts a mixture of signed and unsigned numbers to
        # floats.
        listed: Any = ids
        return np.array([operator.index(number) for number in listed], np.uint64)
    except (ValueError, OverflowError, TypeError):
        pass
    raise InvalidInput(
        f"{field}: expected ids of candidates as Ask returned them, whole numbers, "
        f"got {str(ids)[:80]}",
        field=field,
    )


def unpack(ids: ArrayLike, *, field: str = "candidate_ids") -> tuple[Places, Places, Places]:
    """Generation, target and row of each id, (N,) each; the inverse of `pack`.

    Raises:
        InvalidInput: if `ids` is not a list of 64-bit integers.
    """
    numbers = check(ids, field=field)
    mask = np.uint64(2**ROW_BITS - 1)
    targets = (numbers >> np.uint64(ROW_BITS)) & np.uint64(2**TARGET_BITS - 1)
    generations = numbers >> np.uint64(ROW_BITS + TARGET_BITS)
    return generations.astype(np.int64), targets.astype(np.int64), (numbers & mask).astype(np.int64)
