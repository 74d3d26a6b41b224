"""Parameters of plug-ins: parsed from text, and checked against the plug-in's fields."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, TypeVar, get_args, get_type_hints

import msgspec

from blackbox_am.core.explaining import explain, explain_value
from blackbox_am.errors import InvalidSpec, did_you_mean

T = TypeVar("T")


def parameters_of(plug_in: type[T], name: str, parameters: dict[str, Any]) -> T:
    """Build a plug-in from its parameters, checked against its dataclass fields.

    Raises:
        InvalidSpec: if a parameter is unknown or has a wrong value.
    """
    known, hints = _fields_of(plug_in)  # type: ignore[arg-type]  # types hash
    _check_known(known, name, parameters)
    whole = {key: _whole(value, hints[key]) for key, value in parameters.items()}
    try:
        return msgspec.convert(whole, plug_in, strict=True)
    except (msgspec.ValidationError, ValueError) as error:
        sentence, path = explain(plug_in, whole, str(error))
        field = f"parameters.{path}" if path else "parameters"
        raise InvalidSpec(f"{name}: {sentence}", field=field) from error


@cache
def _fields_of(plug_in: type[Any]) -> tuple[tuple[str, ...], dict[str, Any]]:
    """The names of a class's fields, and its type hints."""
    every = (
        msgspec.structs.fields(plug_in)
        if issubclass(plug_in, msgspec.Struct)
        else dataclasses.fields(plug_in)
    )
    return tuple(field.name for field in every), get_type_hints(plug_in)


def with_parameters(plug_in: T, name: str, parameters: Mapping[str, Any]) -> T:
    """A copy of a plug-in with other values of some parameters, checked as in `parameters_of`.

    Raises:
        InvalidSpec: if a parameter is unknown or has a wrong value.
    """
    known, hints = _fields_of(type(plug_in))  # type: ignore[arg-type]  # types hash
    _check_known(known, name, parameters)
    values = {}
    for key, value in parameters.items():
        whole = _whole(value, hints[key])
        try:
            values[key] = msgspec.convert(whole, hints[key], strict=True)
        except (msgspec.ValidationError, ValueError) as error:
            sentence, path = explain_value(key, whole, str(error))
            raise InvalidSpec(f"{name}: {sentence}", field=f"parameters.{path}") from error
    try:
        return dataclasses.replace(plug_in, **values)  # type: ignore[type-var]
    except ValueError as error:
        raise InvalidSpec(f"{name}: {error}", field="parameters") from error


def check(fits: bool, field: str, expected: str, value: object) -> None:
    """Refuses a parameter that does not fit.

    Raises:
        InvalidSpec: with the field, the expected range and the actual value.
    """
    if not fits:
        raise InvalidSpec(f"{field}: expected {expected}, got {value!r}", field=field)


def _check_known(known: Sequence[str], name: str, parameters: Mapping[str, Any]) -> None:
    for key in parameters:
        if key not in known:
            near = did_you_mean(key, known)
            raise InvalidSpec(f"{name} has no parameter {key!r}{near}", field=f"parameters.{key}")


def _whole(value: Any, hint: Any) -> Any:
    """Convert 20.0 to 20 if `hint` requires integers, because protobuf's Struct and JavaScript have
    no integers.
    """
    if not isinstance(value, (float, list, tuple)):
        return value
    inner = get_args(hint)
    if isinstance(value, (list, tuple)):
        return [_whole(item, inner[0] if inner else hint) for item in value]
    wants = set(inner) or {hint}
    if isinstance(value, float) and value.is_integer() and int in wants and float not in wants:
        return int(value)
    return value


def read_setting(text: str) -> tuple[str, Any] | None:
    """Parse `NAME=VALUE`; a value that is not JSON is taken as text. None if `text` has another
    form.
    """
    name, equals, value = text.partition("=")
    if not (name and equals):
        return None
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value
