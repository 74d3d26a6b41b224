"""Arrays on the wire."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from blackbox_am.core import tensors
from blackbox_am.errors import InvalidInput, ShapeMismatch
from blackbox_am.v1.tensor_pb2 import Dtype, Tensor

Array = NDArray[Any]

_NUMBERS: dict[str, Dtype.ValueType] = {
    name: Dtype.Value(f"DTYPE_{name.upper()}") for name in tensors.DTYPES
}
_NAMES = {number: name for name, number in _NUMBERS.items()}


def to_proto(array: Array) -> Tensor:
    """`array` as a message. Its dtype must be one of `core.tensors.DTYPES`."""
    return Tensor(dtype=_NUMBERS[array.dtype.name], shape=array.shape, data=tensors.to_bytes(array))


def header(dtype: str, shape: tuple[int, ...]) -> Tensor:
    """The header of a tensor whose data follow in chunks."""
    return Tensor(dtype=_NUMBERS[dtype], shape=shape)


def stimulus_dtype(name: str) -> Dtype.ValueType:
    """The number of the dtype in which stimuli are requested.

    Raises:
        InvalidInput: for another dtype than `uint8` or `float32`.
    """
    if name not in ("uint8", "float32"):
        raise InvalidInput(f"dtype: expected uint8 or float32, got {name!r}", field="dtype")
    return _NUMBERS[name]


def from_proto(message: Tensor, *, field: str = "tensor") -> Array:
    """The array in `message`. Read-only: it shares memory with the message's bytes.

    Raises:
        ShapeMismatch: for an unknown dtype, a negative length, or the wrong number of bytes.
    """
    return from_header(message, message.data, field=field)


def from_header(header: Tensor, data: bytes | memoryview, *, field: str = "tensor") -> Array:
    """The array in `data` with the dtype and shape of `header`.

    Raises:
        ShapeMismatch: as `from_proto`.
    """
    return tensors.from_bytes(_dtype(header, field), tuple(header.shape), data, field=field)


def size_of(header: Tensor, *, field: str = "tensor") -> int:
    """Number of bytes of a tensor with the dtype and shape of `header`.

    Raises:
        ShapeMismatch: for an unknown dtype, a negative length, or too many axes.
    """
    return tensors.size_of(_dtype(header, field), tuple(header.shape), field=field)


def _dtype(message: Tensor, field: str) -> str:
    name = _NAMES.get(message.dtype)
    if name is None:
        came = "none" if message.dtype == Dtype.DTYPE_UNSPECIFIED else f"number {message.dtype}"
        raise ShapeMismatch(
            f"{field}: expected a dtype out of {', '.join(_NAMES.values())}, got {came}; "
            "is the tensor filled in?",
            field=field,
        )
    return name
