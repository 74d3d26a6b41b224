"""Sizes of changes of inputs, in every norm."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blackbox_am.attacks.results import float_stimuli


def changes_between(clean: NDArray[Any], changed: NDArray[Any]) -> NDArray[np.float64]:
    """`changed` minus `clean`, both (..., *input), in units of [0, 1]; 8 steps of bytes are exactly
    8/255.
    """
    change: NDArray[np.float64]
    if clean.dtype == changed.dtype == np.uint8:
        change = (changed.astype(np.int16) - clean) / 255
    else:
        change = float_stimuli(changed).astype(np.float64) - float_stimuli(clean)
    return change


def distances(change: NDArray[np.float64], norm: str) -> NDArray[np.float64]:
    """(N,) norms of changes (N, *input); nan where a value is not a number."""
    flat = change.reshape(len(change), math.prod(change.shape[1:]))
    found: NDArray[np.float64]
    if norm == "linf":
        found = np.abs(flat).max(1, initial=0.0)
    elif norm == "l2":
        found = np.sqrt(np.square(flat).sum(1))
    else:
        places = (change != 0).any(1) if change.ndim > 2 else change != 0
        found = places.sum(tuple(range(1, places.ndim))).astype(np.float64)
    return found
