"""Error messages for wrong plain data, derived from the messages of msgspec."""

from __future__ import annotations

import re
from dataclasses import is_dataclass
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec

from blackbox_am.errors import did_you_mean

_PLACE = re.compile(r" - at `\$\.?([^`]*)`$")
_BEGINS = re.compile(r"(\w+)(?::| must) ")
_STEP = re.compile(r"[^.\[\]]+|\[\.\.\.\]|\[\d+\]")
_EXPECTED = re.compile(r"Expected `([^`]+)`(?: of length)?(?: (>=|<=|>|<|==) ([^\s,]+))?")
_LENGTH = " of length"

_TYPES = {
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "bool": "true or false",
    "array": "a list",
    "object": "a table of names and values",
    "bytes": "bytes",
    "null": "nothing",
}
_RELATIONS = {">=": "at least", "<=": "at most", ">": "above", "<": "below", "==": "exactly"}


def explain(spec_type: type, plain: Any, message: str) -> tuple[str, str]:
    """The message, and the path of the wrong field, such as `targets[0].kind`.

    Args:
        spec_type: the expected type.
        plain: dicts and lists.
        message: the message of msgspec, or a message of this package to which msgspec added the
            path.
    """
    found = _PLACE.search(message)
    path = found[1] if found else ""
    text = message[: found.start()] if found else message
    if text.startswith("Object missing required field"):
        path = ".".join(filter(None, (path, text.split("`")[1])))
        return f"{path} is missing", path
    if text.startswith("Object contains unknown field"):
        name = text.split("`")[1]
        known = getattr(_hint_at(spec_type, path), "__struct_fields__", ())
        path = ".".join(filter(None, (path, name)))
        return f"there is no field {path!r}{did_you_mean(name, known)}", path
    if text.startswith("Invalid enum value"):
        known = get_args(_hint_at(spec_type, path))
        value = _value_at(plain, path)
        return f"{path}: {value!r} is none of its values{did_you_mean(str(value), known)}", path
    if text.startswith("Expected"):
        return f"{_named(path)}: expected {_wanted(text)}, got {_shown(plain, path)}", path
    begins = _BEGINS.match(text)
    if not path and begins and begins[1] in getattr(spec_type, "__struct_fields__", ()):
        path = begins[1]  # a sentence of the specification itself about one of its fields
    return (f"{path}: {text}" if path and not text.startswith(path) else text), path


def explain_value(name: str, plain: Any, message: str) -> tuple[str, str]:
    """As `explain`, for one value, which is called `name`."""
    found = _PLACE.search(message)
    text, inner = (message[: found.start()], found[1]) if found else (message, "")
    path = f"{name}{inner}" if not inner or inner[0] == "[" else f"{name}.{inner}"
    if not text.startswith("Expected"):
        return f"{path}: {text}", path
    value = _value_at(plain, inner) if inner else plain
    return f"{path}: expected {_wanted(text)}, got {_short(value)}", path


def _wanted(text: str) -> str:
    match = _EXPECTED.match(text)
    if match is None:
        return text.removeprefix("Expected ")
    kinds = [_TYPES.get(kind.strip(), kind.strip()) for kind in match[1].split("|")]
    wanted = " or ".join(dict.fromkeys(kind for kind in kinds if kind != "nothing"))
    if match[2] is None:
        return wanted
    limit = f"{_RELATIONS[match[2]]} {match[3].removesuffix('.0')}"
    if _LENGTH not in text:
        return f"{wanted}, {limit}"
    return f"{wanted} of {limit} {'characters' if match[1].startswith('str') else 'entries'}"


def _shown(plain: Any, path: str) -> str:
    return _short(_value_at(plain, path))


def _short(value: Any) -> str:
    shown = repr(value) if isinstance(value, (str, int, float, bool)) else type(value).__name__
    return shown[:80] if value is not None else "nothing"


def _named(path: str) -> str:
    return path or "the specification"


def _value_at(plain: Any, path: str) -> Any:
    for step in _STEP.findall(path):
        try:
            plain = plain[int(step[1:-1])] if step[0] == "[" else plain[step]
        except (KeyError, IndexError, TypeError, ValueError):
            return None
    return plain


def _hint_at(hint: Any, path: str) -> Any:
    for step in _STEP.findall(path):
        if step[0] == "[":
            hint = (get_args(hint) or (None,))[-1 if step == "[...]" else 0]
        elif isinstance(hint, type) and (issubclass(hint, msgspec.Struct) or is_dataclass(hint)):
            hint = get_type_hints(hint).get(step)
        else:
            return None
        if get_origin(hint) in (Union, UnionType):
            hint = next(part for part in get_args(hint) if part is not type(None))
    return hint
