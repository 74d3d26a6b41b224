"""Parameters of plug-ins as protobuf's `Struct`, in which all numbers are doubles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf import json_format
from google.protobuf.struct_pb2 import Struct

from blackbox_am.core.spec import to_plain
from blackbox_am.errors import InvalidSpec

EXACT_INTEGERS = 2**53
"""A double cannot represent every whole number beyond this."""


def to_proto(parameters: Mapping[str, Any]) -> Struct:
    """Parameters as a Struct.

    Raises:
        InvalidSpec: for a value that is not plain data, or a whole number beyond 2^53.
    """
    struct = Struct()
    try:
        plain = to_plain(parameters)
        _check_integers(plain)
        struct.update(plain)
    except (TypeError, ValueError) as error:
        raise InvalidSpec(
            f"parameters must be plain data (numbers, strings, lists, tables): {error}",
            field="parameters",
        ) from error
    return struct


def from_proto(struct: Struct, *, field: str = "parameters") -> dict[str, Any]:
    """Parameters from a Struct, whole numbers as int.

    Raises:
        InvalidSpec: for a number that is not finite.
    """
    try:
        plain: dict[str, Any] = json_format.MessageToDict(struct)
    except (json_format.Error, ValueError) as error:
        raise InvalidSpec(f"{field} must hold finite numbers: {error}", field=field) from error
    return {key: _whole(value) for key, value in plain.items()}


def _whole(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer() and abs(value) <= EXACT_INTEGERS:
        return int(value)
    if isinstance(value, list):
        return [_whole(item) for item in value]
    if isinstance(value, dict):
        return {key: _whole(item) for key, item in value.items()}
    return value


def _check_integers(value: Any) -> None:
    if isinstance(value, int) and abs(value) > EXACT_INTEGERS:
        raise InvalidSpec(
            f"whole numbers in parameters must lie within 2^53, got {value}", field="parameters"
        )
    if isinstance(value, Mapping):
        value = list(value.values())
    for item in value if isinstance(value, (list, tuple)) else ():
        _check_integers(item)
