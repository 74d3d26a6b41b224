"""The named model functions of the protocol: each sum goes from the first number to the last."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Score = Callable[[Array], float | list[float]]
"""From the numbers of one candidate (D,) float64 to its score, or to one number a unit."""

MODULUS, MIDDLE = 7, 3
"""Weight i of `linear` is ((i + shift) mod MODULUS) - MIDDLE."""


class ModelFault(Exception):
    """The error that the model function `throws` throws."""


def in_order(terms: Array) -> float:
    """The sum of doubles, added one after another: numpy's own sum adds in pairs."""
    return 0.0 + float(np.cumsum(terms)[-1]) if terms.size else 0.0


def linear(numbers: Array, shift: int = 0) -> float:
    """The sum of ((i + shift) mod 7 - 3) * x_i."""
    weights = (np.arange(numbers.size) + shift) % MODULUS - MIDDLE
    return in_order(weights.astype(np.float64) * numbers)


def sphere(numbers: Array) -> float:
    """-(sum of x_i * x_i)."""
    return -in_order(numbers * numbers)


class Model:
    """A model function.

    Args:
        spec: `name` and arguments, as in the protocol.
        pause: seconds to sleep for each candidate.

    Attributes:
        measured: number of candidates for which the function returned a number.
        calls: number of its calls.
    """

    def __init__(self, spec: dict[str, Any], pause: float = 0.0) -> None:
        self.measured = 0
        self.calls = 0
        self._spec = spec
        self._pause = pause
        self._score = _score(spec)

    def __call__(self, batch: Array) -> Array:
        self.calls += 1
        if self._spec["name"] == "short":
            batch = batch[:-1]
        values = [self._one(row.reshape(-1).astype(np.float64)) for row in batch]
        return np.array(values, np.float64)

    def _one(self, numbers: Array) -> float | list[float]:
        time.sleep(self._pause)
        after = self._spec.get("after")
        if self._spec["name"] == "throws" and after is not None and self.measured >= after:
            raise ModelFault("the rig fell over")
        self.measured += 1
        return np.nan if self._fails() else self._score(numbers)

    def _fails(self) -> bool:
        return self._spec["name"] == "nan" and self.measured % int(self._spec["every"]) == 0


def _score(spec: dict[str, Any]) -> Score:
    def codes(numbers: Array) -> float:
        return float((numbers == np.arange(numbers.size) % spec["categories"]).sum())

    def units(numbers: Array) -> list[float]:
        return [linear(numbers, shift) for shift in range(spec["units"])]

    known: dict[str, Score] = {
        "linear": lambda numbers: linear(numbers, spec.get("shift") or 0),
        "codes": codes,
        "mean": lambda numbers: in_order(numbers) / numbers.size,
        "units": units,
        **dict.fromkeys(("sphere", "nan", "throws", "short"), sphere),
    }
    return known[spec["name"]]
