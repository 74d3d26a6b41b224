"""Numbers as people have them: lists, arrays, masked arrays, series, decimal numbers, tensors."""

from __future__ import annotations

from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray


def numbers_in(values: Any) -> NDArray[Any] | None:
    """The numbers as an array of floats, integers or booleans; None for anything else.

    A `None` among the numbers and a masked entry of a masked array are nan, a failed measurement.
    Numbers with more bits than float64 are rounded to float64.
    """
    try:
        if isinstance(values, np.ma.MaskedArray) and values.dtype.kind in "fiub":
            values = np.where(values.mask, np.nan, values.data)
        array = np.asarray(_on_the_host(values))
        if array.dtype.kind == "O" and all(map(_is_number, array.flat)):
            array = array.astype(np.float64)
    except (ValueError, OverflowError, ArithmeticError):  # such as lists of several lengths
        return None
    if array.dtype.kind == "f" and array.dtype.itemsize > np.dtype(np.float64).itemsize:
        array = array.astype(np.float64)
    return array if array.dtype.kind in "fiub" else None


def _on_the_host(values: Any) -> Any:
    """A tensor of torch without its autograd graph, on the host, in a type that numpy has."""
    if not callable(getattr(values, "detach", None)):
        return values
    values = values.detach().cpu()
    return values.float() if str(values.dtype) == "torch.bfloat16" else values


def _is_number(value: object) -> bool:
    return value is None or isinstance(value, (Real, Decimal))
