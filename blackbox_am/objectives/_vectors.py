"""Products of activations with a given vector: shared code of objectives that compare the units of
a layer with a direction.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from blackbox_am.core.objective import A
from blackbox_am.errors import InvalidSpec

LEAST_SQUARE = 1e-12
"""Added to the squared length of a vector of activations, which may be 0."""


def check_vector(what: str, vector: tuple[float, ...], quantities: int, field: str) -> None:
    """Check that `vector` has one finite number for each quantity, and not only zeros.

    Raises:
        InvalidSpec: if it has not; the message contains `what` and the parameter `field`.
    """
    if len(vector) != quantities:
        raise InvalidSpec(
            f"{what}: expected a vector of {quantities} numbers, one for each quantity, got "
            f"{len(vector)}",
            field=f"targets.parameters.{field}",
        )
    if not all(math.isfinite(number) for number in vector) or not any(vector):
        raise InvalidSpec(
            f"{what}: expected a vector of finite numbers that are not all 0",
            field=f"targets.parameters.{field}",
        )


def product(values: A, vector: tuple[float, ...]) -> A:
    """(...): the scalar product of activations (..., U) with `vector`, U numbers."""
    total: A = (values * _like(vector, values)).sum(-1)
    return total


def difference(values: A, vector: tuple[float, ...]) -> A:
    """(..., U): activations (..., U) less `vector`, U numbers."""
    found: A = values - _like(vector, values)
    return found


def length(values: A) -> A:
    """(...): the Euclidean length of activations (..., U); its gradient at 0 is 0."""
    lengths: A = ((values * values).sum(-1) + LEAST_SQUARE) ** 0.5
    return lengths


def larger(one: A, other: A) -> A:
    """The larger of two scores (...); nan where one of them is nan."""
    found: A = one + (other - one).clip(min=0)
    return found


def _like(vector: tuple[float, ...], values: Any) -> Any:
    """`vector` as an array of the kind, dtype and device of `values`."""
    if hasattr(values, "new_tensor"):  # of torch
        return values.new_tensor(vector)
    return np.asarray(vector, dtype=values.dtype)
