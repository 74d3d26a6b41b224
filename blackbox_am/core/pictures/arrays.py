"""Pictures as arrays: their range and the order of their axes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from blackbox_am.errors import InvalidSpec

Array = NDArray[Any]

WHITES = (255, 1023, 4095, 16383, 65535)
"""Values of white of 8, 10, 12, 14 and 16 bits."""


def picture_array(array: Array, shape: tuple[int, ...] | None = None) -> Array:
    """(N, *stimulus) of one picture or several whose channels may stand last or, in shades of grey,
    be left out. Arrays that are no pictures stay as they are.

    Args:
        array: uint8 or float pictures, or stimuli of any kind.
        shape: of one stimulus; None to take 1 or 3 channels for those of a picture where only one
            order of the axes has them.
    """
    if shape is None:
        last = array.ndim == 4 and array.shape[3] in (1, 3) and array.shape[1] not in (1, 3)
        return np.moveaxis(array, -1, 1) if last else array
    if array.ndim == len(shape) + 1 and tuple(array.shape[1:]) == shape:
        return array
    if array.shape == shape:
        return array[None]
    if len(shape) != 3:
        return array
    for many in (array, array[None]):
        if many.ndim == 4 and (*many.shape[3:], *many.shape[1:3]) == shape:
            return np.moveaxis(many, -1, 1)
        if many.ndim == 3 and (1, *many.shape[1:]) == shape:
            return many[:, None]
    return picture_array(array)


def check_range(array: Array, field: str) -> Array:
    """`array` if it is uint8 or floating-point in [0, 1].

    Raises:
        InvalidSpec: for another type or range; the message says how to state the value of white.
    """
    if array.dtype == np.uint8 or (array.dtype.kind == "f" and not array.size):
        return array
    if array.dtype.kind not in "uif" or not array.size:
        raise InvalidSpec(
            f"{field}: expected uint8, or floats in [0, 1], got {array.dtype.name} of shape "
            f"{array.shape}",
            field=field,
        )
    low, high = float(array.min()), float(array.max())
    if array.dtype.kind == "f" and low >= 0 and high <= 1:
        return array
    raise InvalidSpec(
        f"{field}: expected uint8, or floats in [0, 1], got {array.dtype.name} "
        f"{_said(low, high)}; {_cure(low, high)}",
        field=field,
    )


def with_white(array: Array, white: float | None, field: str) -> Array:
    """`array` as uint8 or floats in [0, 1], if `white` is the value of white and 0 that of black.

    Args:
        array: numbers from 0 to `white`.
        white: None for uint8, or floats in [0, 1].
        field: the parameter that gives the array, for messages.

    Raises:
        InvalidSpec: for numbers outside this range, or a white that is not above 0.
    """
    if white is None or (array.dtype == np.uint8 and white == 255):
        return check_range(array, field)
    if not (np.isfinite(white) and white > 0):
        raise InvalidSpec(f"white: expected a number above 0, got {white}", field="white")
    if array.dtype.kind not in "uif" or not array.size or not _within(array, white):
        raise InvalidSpec(
            f"{field}: expected numbers from 0 to {white:g}, the value given as white, got "
            f"{array.dtype.name} {_range(array)}",
            field=field,
        )
    return array.astype(np.float32) / np.float32(white)


def _within(array: Array, white: float) -> bool:
    return bool(array.min() >= 0) and bool(array.max() <= white)


def _range(array: Array) -> str:
    if array.dtype.kind not in "uif" or not array.size:
        return f"of shape {array.shape}"
    return _said(float(array.min()), float(array.max()))


def _said(low: float, high: float) -> str:
    if np.isnan(low) or np.isnan(high):
        return "with nan"
    return f"from {low:g} to {high:g}"


def _cure(low: float, high: float) -> str:
    if not (np.isfinite(low) and np.isfinite(high)):
        return "leave out what is not finite"
    if low < 0:
        return "undo what made them negative, such as the subtraction of a mean"
    if high <= 1:
        return "give them as floats, array.astype('float32')"
    likely = next((white for white in WHITES if high <= white), None)
    if likely is None:
        return "divide them by the value of white"
    return (
        f"say which value is white: divide by {likely} if that is it, or in Python "
        f"blackbox_am.pictures(array, white={likely}), or in a .npz file an array white of one "
        "number beside the pictures"
    )
