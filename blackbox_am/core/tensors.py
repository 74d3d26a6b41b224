"""Conversion of dense arrays to bytes and back, with all checks. Needs only numpy."""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blackbox_am.errors import InvalidInput, ShapeMismatch

Array = NDArray[Any]

DTYPES: dict[str, np.dtype[Any]] = {
    "float32": np.dtype("<f4"),
    "float64": np.dtype("<f8"),
    "float16": np.dtype("<f2"),
    "uint8": np.dtype("|u1"),
    "int32": np.dtype("<i4"),
    "int64": np.dtype("<i8"),
}


MAX_AXES = 32
"""Largest number of axes of an array from outside."""
MAX_LENGTHS = 2**60
"""Largest product of an array's lengths, without lengths of 0."""


def to_bytes(array: Array) -> bytes:
    """Row-major little-endian bytes of `array`, whose dtype must be in `DTYPES`."""
    return np.ascontiguousarray(array, dtype=DTYPES[array.dtype.name]).tobytes()


def from_bytes(
    dtype: str, shape: tuple[int, ...], data: bytes | memoryview, *, field: str = "tensor"
) -> Array:
    """The array that `to_bytes` wrote. The array shares memory with `data`; it is read-only if
    `data` is `bytes`.

    Raises:
        ShapeMismatch: for an unknown dtype, a bad shape, or the wrong number of bytes.
    """
    if dtype not in DTYPES:
        raise ShapeMismatch(
            f"{field}: unknown dtype {dtype!r}; known: {', '.join(DTYPES)}", field=field
        )
    expected = size_of(dtype, shape, field=field)
    if len(data) != expected:
        raise ShapeMismatch(
            f"{field}: {dtype} of shape {shape} is {expected} bytes, got {len(data)}", field=field
        )
    if math.prod(max(n, 1) for n in shape) > MAX_LENGTHS:
        raise ShapeMismatch(f"{field}: no array has the shape {shape}", field=field)
    return np.frombuffer(data, dtype=DTYPES[dtype]).reshape(shape)


def size_of(dtype: str, shape: tuple[int, ...], *, field: str = "tensor") -> int:
    """Number of bytes of an array of this shape and dtype, which must be in `DTYPES`.

    Raises:
        ShapeMismatch: for a negative length, or more than `MAX_AXES` axes.
    """
    if len(shape) > MAX_AXES:  # before memory for so many numbers is used
        raise ShapeMismatch(
            f"{field}: expected at most {MAX_AXES} axes, got {len(shape)}", field=field
        )
    if any(n < 0 for n in shape):
        raise ShapeMismatch(f"{field}: shape {shape} has a negative length", field=field)
    return math.prod(shape) * DTYPES[dtype].itemsize


def check_shape(array: Array, shape: tuple[int | None, ...], what: str, *, field: str = "") -> None:
    """Checks `array.shape` against `shape`, in which None stands for any length.

    Raises:
        ShapeMismatch: with both shapes in the message.
    """
    fits = len(array.shape) == len(shape) and all(
        want is None or want == got for want, got in zip(shape, array.shape, strict=True)
    )
    if not fits:
        words = ", ".join("any" if n is None else str(n) for n in shape)
        raise ShapeMismatch(
            f"{what}: expected shape ({words}), got {tuple(array.shape)}", field=field or what
        )


def checksum(array: Array) -> bytes:
    """A digest of 16 bytes that is the same on every machine."""
    return hashlib.blake2b(to_bytes(array), digest_size=16).digest()


def npy_of(array: NDArray[Any]) -> bytes:
    """`array` in numpy's format .npy."""
    body = io.BytesIO()
    np.save(body, array, allow_pickle=False)
    return body.getvalue()


_BLOCK = 2**16
"""Number of values that are converted at a time, small enough for a core's cache."""


def to_uint8(stimuli: Array) -> NDArray[np.uint8]:
    """Stimuli in [0, 1] to 0..255, rounded to nearest. uint8 passes through.

    Raises:
        InvalidInput: for nan and infinities, which a byte cannot represent.
    """
    if stimuli.dtype == np.uint8:
        return stimuli
    flat = np.ascontiguousarray(stimuli).reshape(-1)
    found = np.empty(flat.shape, np.uint8)
    scaled = np.empty(min(_BLOCK, len(flat)), flat.dtype)
    for start in range(0, len(flat), _BLOCK):
        block = flat[start : start + _BLOCK]
        if not np.isfinite(block).all():
            bad = block[~np.isfinite(block)][0]
            raise InvalidInput(
                f"stimuli: expected finite numbers from 0 to 1, got {bad}; a row that could not be "
                "rendered has no bytes: leave it out, or take it as float32",
                field="stimuli",
            )
        part = np.clip(block, 0.0, 1.0, out=scaled[: len(block)])
        part *= 255.0
        found[start : start + _BLOCK] = np.rint(part, out=part)
    return found.reshape(stimuli.shape)


def to_unit_interval(stimuli: Array) -> NDArray[np.float32]:
    """uint8 stimuli to float32 in [0, 1]. Floats pass through as float32."""
    if stimuli.dtype == np.uint8:
        return np.divide(stimuli, np.float32(255.0), dtype=np.float32)
    return stimuli.astype(np.float32, copy=False)


def one_a_row(targets: Sequence[int], rows: int) -> tuple[int, ...]:
    """The target of each of `rows` rows; `targets` has one number for each row, or one for all
    rows.

    Raises:
        InvalidInput: if the length of `targets` is wrong.
    """
    if len(targets) == 1:
        return tuple(targets) * rows
    if len(targets) != rows:
        raise InvalidInput(
            f"targets: expected {rows} of them, one for each row of latents, or 1 for all rows, "
            f"got {len(targets)}",
            field="targets",
        )
    return tuple(targets)
