"""Enumerations of protobuf: the numbers of members and words, and back."""

from __future__ import annotations

from enum import Enum
from typing import Any, Literal, get_origin

from google.protobuf.descriptor import EnumDescriptor

from blackbox_am.errors import InvalidInput, InvalidSpec

MISSING = object()
"""The content of a field that is not set."""


def _prefix(enum: EnumDescriptor) -> str:
    """The prefix of the names of its values: `STUDY_STATE_` for `StudyState`."""
    return enum.values_by_number[0].name.removesuffix("UNSPECIFIED")


def number(enum: EnumDescriptor, value: Any) -> int:
    """The number of the value with the name of a member or of a word; 0 if no value has this
    name.
    """
    word = value.name if isinstance(value, Enum) else str(value).upper()
    found = enum.values_by_name.get(_prefix(enum) + str(word))
    return 0 if found is None else int(found.number)


def words_of(enum: EnumDescriptor, numbers: Any) -> list[str]:
    """The names of the values of these numbers without their prefix; unknown numbers have none."""
    known = (enum.values_by_number.get(number) for number in numbers)
    return [value.name.removeprefix(_prefix(enum)) for value in known if value is not None]


def member(enum: EnumDescriptor, value: int, hint: Any, path: str) -> Any:
    """The meaning of `value`: a member of `hint`, or a word of a `Literal`.

    An unknown number, for example from a newer version, becomes the member `NONE` or `UNKNOWN` if
    the enumeration has it.

    Raises:
        InvalidInput: for an unknown number otherwise.
    """
    word = "".join(words_of(enum, [value])) if value else ""
    if get_origin(hint) is Literal:
        if value and not word:
            raise InvalidSpec(f"{path}: {enum.name} has no value of number {value}", field=path)
        return word.lower() or MISSING
    if word in hint.__members__:
        return hint[word]
    for unknown in ("NONE", "UNKNOWN"):
        if unknown in hint.__members__:
            return hint[unknown]
    raise InvalidInput(f"{path}: {enum.name} has no value of number {value}", field=path)
