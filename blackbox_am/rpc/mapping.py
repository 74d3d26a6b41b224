"""Conversion of this package's values to protobuf messages and back, by descriptors and type hints.

A field of a value is stored in the field of the same name in its message. Three small tables
contain the exceptions: `PLACES`, `RESOURCES` and `DEFAULTS`. The conversion of a field follows from
the message's descriptor when a message is written, and from the type hint when a message is read:

    enumeration     `Literal` words and `Enum` members by name; a `Flag` is a repeated field
    Tensor          numpy array, or `ArrayData` in a specification
    Struct          dict; whole numbers stay whole
    Timestamp       datetime, UTC
    Duration        float, seconds
    message         another value, by the same rules

A value of None leaves the field unset. An unset field has the default of the value's field, or
None.
"""

from __future__ import annotations

import dataclasses
import functools
from enum import Flag
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

from blackbox_am.core.expressions import objective
from blackbox_am.core.listings import MeasureListing, OptimizerListing
from blackbox_am.core.spec import ArrayData, ObjectiveSpec, StartSpec, from_plain, to_plain
from blackbox_am.core.types import Accounting, StudyProgress
from blackbox_am.errors import InvalidInput, InvalidSpec
from blackbox_am.rpc import names, structs, tensors, times
from blackbox_am.rpc.enumerations import MISSING, member, number, words_of

M = TypeVar("M", bound=Message)
FieldDescriptor = Any
"""A field descriptor of protobuf, whose two implementations have no common base class."""
T = TypeVar("T")

_PLUG_IN = {name: f"plug_in.{name}" for name in ("name", "summary", "schema", "problem")}

PLACES: dict[type, dict[str, str]] = {
    StudyProgress: {
        "study_id": "name",
        "queries_per_target": "spec.budget.queries_per_target",
        "search_rows": "accounting.search_rows",
        "failed_rows": "accounting.failed_rows",
        "optimizer": "optimizer.name",
        "spent": "accounting",
    },
    Accounting: {"calls": "oracle_calls", "rows": "oracle_rows"},
    OptimizerListing: _PLUG_IN,
    MeasureListing: _PLUG_IN,
}
"""Places of fields that have another name in the message."""

RESOURCES = {(StudyProgress, "study_id"), (StartSpec, "study")}
"""Ids of studies, which are sent as names: `studies/{study_id}`."""

DEFAULTS: dict[tuple[type, str], Any] = {(ObjectiveSpec, "kind"): "mean"}
"""Meanings of an empty text, if it is not the default of its field."""


# Out


def to_message(value: Any, message: M) -> M:
    """Writes `value`, a struct or dataclass, into `message`, and returns `message`.

    Properties of the value are written too if the message has a field of the same name.

    Raises:
        InvalidSpec: for a parameter that protobuf's Struct cannot hold.
    """
    kind: Any = type(value)
    for name, outer, field, resource in _plan(kind, message.DESCRIPTOR):
        content = getattr(value, name)
        if content is not None:
            if resource:
                content = names.study_name(content) if content else ""
            target = message
            for part in outer:
                target = getattr(target, part)
            _write(target, field, content)
    for name, field in _properties(kind, message.DESCRIPTOR):
        _write(message, field, getattr(value, name))
    return message


@functools.cache
def _plan(
    kind: Any, descriptor: Descriptor
) -> tuple[tuple[str, list[str], FieldDescriptor, bool], ...]:
    """For each field of a class that a message has: its name, the way to its message, the field in
    this message, and whether it is the name of a resource.
    """
    places, found = PLACES.get(kind, {}), []
    for name in _fields_of(kind):
        *outer, last = places.get(name, name).split(".")
        inner: Any = descriptor
        for part in outer:
            inner = inner.fields_by_name[part].message_type
        field = inner.fields_by_name.get(last)
        if field is not None:
            found.append((name, outer, field, (kind, name) in RESOURCES))
    return tuple(found)


@functools.cache
def _properties(kind: Any, descriptor: Descriptor) -> tuple[tuple[str, FieldDescriptor], ...]:
    fields = descriptor.fields_by_name
    return tuple((name, fields[name]) for name in _properties_of(kind) if name in fields)


def _write(message: Message, field: FieldDescriptor, content: Any) -> None:
    if _is_map(field):
        getattr(message, field.name).update(content)
    elif field.is_repeated:
        items = getattr(message, field.name)
        if field.message_type is not None:
            for item in content:
                _write_message(items.add(), field.message_type, item)
        elif field.enum_type is not None:
            items.extend(number(field.enum_type, item) for item in _listed(content))
        else:
            items.extend(content)
    elif field.enum_type is not None:
        setattr(message, field.name, number(field.enum_type, content))
    elif field.message_type is not None:
        _write_message(getattr(message, field.name), field.message_type, content)
    else:
        setattr(message, field.name, content)


def _write_message(message: Any, kind: Descriptor, content: Any) -> None:
    match kind.full_name:
        case "blackbox_am.v1.Tensor":
            array = content.numpy() if isinstance(content, ArrayData) else content
            message.CopyFrom(tensors.to_proto(array))
        case "google.protobuf.Struct":
            message.CopyFrom(structs.to_proto(content))
        case "google.protobuf.Timestamp":
            message.CopyFrom(times.time_to_proto(content.timestamp()))
        case "google.protobuf.Duration":
            message.CopyFrom(times.duration_to_proto(content, kind.name))
        case _:
            message.SetInParent()
            to_message(content, message)


def _listed(content: Any) -> list[Any]:
    return (
        [flag for flag in type(content) if flag in content]
        if isinstance(content, Flag)
        else content
    )


# In


def from_message(message: Message, kind: type[T]) -> T:
    """The value of type `kind` in `message`.

    Raises:
        InvalidSpec: with the path of the wrong field of a specification, relative to the message.
        InvalidInput: for a number without a member in its enumeration.
    """
    plain = plain_of(message, kind)
    return from_plain(kind, plain) if issubclass(kind, msgspec.Struct) else kind(**plain)


def plain_of(message: Message, kind: type, path: str = "") -> dict[str, Any]:
    """The values in `message` for the fields of `kind`, by name; specifications as dicts and lists.

    Args:
        message: the message to read.
        kind: a struct or dataclass.
        path: of `message` in the request, for errors.

    Raises:
        InvalidInput: as `from_message`.
    """
    if kind is ObjectiveSpec and message.expression:  # type: ignore[attr-defined]
        return _tree_of(message, path)
    found = {}
    for each in _reading(kind, message.DESCRIPTOR):
        name = each.name
        where = f"{path}.{name}" if path else name
        content: Any = MISSING if each.field is None else _read(message, each, where)
        if each.nested and isinstance(content, dict):
            content = from_plain(each.hint, content)
        if content is MISSING or (isinstance(content, str) and not content):
            if each.default is not MISSING:
                found[name] = each.default
            elif each.required:
                found[name] = None if content is MISSING else content
        elif each.resource:
            found[name] = names.study_id(content, field=where)
        else:
            found[name] = content
    return found


@dataclasses.dataclass(frozen=True, slots=True)
class _Reading:
    """How one field of a class is read from the messages of one type.

    Attributes:
        name: its name in the class.
        outer: the way from the message to the message that has it.
        field: its descriptor; None if the message does not have it.
        hint: its type, without None.
        item: the type of its items, if it is repeated.
        listed: whether its items are specifications, which are read into a list.
        optional: whether it can be None.
        is_map: whether it is a map.
        nested: whether it is a specification inside a value that is none.
        resource: whether it is the name of a resource.
        default: the meaning of an empty text; `MISSING` for the default of the class.
        required: whether the class has no default for it.
    """

    name: str
    outer: tuple[str, ...]
    field: FieldDescriptor
    hint: Any
    item: Any
    listed: bool
    optional: bool
    is_map: bool
    nested: bool
    resource: bool
    default: Any
    required: bool


@functools.cache
def _reading(kind: Any, descriptor: Descriptor) -> tuple[_Reading, ...]:
    """How each field of `kind` is read. Types and options are looked at once for all messages."""
    places, found = PLACES.get(kind, {}), []
    for name, hint in _fields_of(kind).items():
        *outer, last = places.get(name, name).split(".")
        holder: Any = descriptor
        for part in outer:
            holder = holder.fields_by_name[part].message_type
        field = holder.fields_by_name.get(last)
        inner, optional = _without_none(hint)
        item = (get_args(inner) or (object,))[0]
        found.append(
            _Reading(
                name=name,
                outer=tuple(outer),
                field=field,
                hint=inner,
                item=item,
                listed=_is_plain(item),
                optional=optional,
                is_map=field is not None and _is_map(field),
                nested=_is_plain(inner) and not _is_plain(kind),
                resource=(kind, name) in RESOURCES,
                default=DEFAULTS.get((kind, name), MISSING),
                required=not _has_default(kind, name),
            )
        )
    return tuple(found)


def _tree_of(message: Any, path: str) -> dict[str, Any]:
    """The objective that an expression names, as plain data."""
    field = f"{path}.expression" if path else "expression"
    more = [each.name for each, _ in message.ListFields() if each.name != "expression"]
    if more:
        raise InvalidSpec(
            f"expected an expression alone, or the objective's other fields, got both: {more[0]}; "
            "leave one of them out",
            field=field,
        )
    try:
        plain: dict[str, Any] = to_plain(objective(message.expression))
    except InvalidInput as error:
        error.field = field
        raise
    return plain


def _read(message: Message, reading: _Reading, path: str) -> Any:
    for part in reading.outer:
        message = getattr(message, part)
    field, hint = reading.field, reading.hint
    content = getattr(message, field.name)
    if reading.is_map:
        return dict(content)
    if field.is_repeated:
        return _read_repeated(content, reading, path)
    if field.has_presence and not message.HasField(field.name):
        return MISSING
    if field.message_type is not None:
        return _read_message(content, field.message_type, hint, path)
    if field.enum_type is not None:
        return member(field.enum_type, content, hint, path)
    # For a field with presence, an empty value counts as set.
    empty = not field.has_presence and content == field.default_value
    return None if reading.optional and empty else content


def _read_repeated(content: Any, reading: _Reading, path: str) -> Any:
    field, hint, item = reading.field, reading.hint, reading.item
    if field.enum_type is not None and isinstance(hint, type) and issubclass(hint, Flag):
        known = [
            hint[word] for word in words_of(field.enum_type, content) if word in hint.__members__
        ]
        return functools.reduce(lambda a, b: a | b, known, hint(0))
    if field.message_type is None:
        read = list(content)
    else:
        read = [
            _read_message(part, field.message_type, item, f"{path}[{index}]")
            for index, part in enumerate(content)
        ]
    return read if reading.listed else tuple(read)


def _read_message(message: Any, kind: Descriptor, hint: Any, path: str) -> Any:
    match kind.full_name:
        case "blackbox_am.v1.Tensor":
            array = tensors.from_proto(message, field=path)
            return to_plain(ArrayData.of(array)) if hint is ArrayData else array.copy()
        case "google.protobuf.Struct":
            return structs.from_proto(message, field=path)
        case "google.protobuf.Timestamp":
            return times.time_from_proto(message)
        case "google.protobuf.Duration":
            return times.duration_from_proto(message)
    if _is_plain(hint):
        return plain_of(message, hint, path)
    return hint(**plain_of(message, hint, path))


# Types


@functools.cache
def _fields_of(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind)
    if issubclass(kind, msgspec.Struct):
        return {name: hints[name] for name in kind.__struct_fields__}
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


@functools.cache
def _properties_of(kind: Any) -> tuple[str, ...]:
    return tuple(name for name in dir(kind) if isinstance(getattr(kind, name), property))


@functools.cache
def _has_default(kind: Any, name: str) -> bool:
    if issubclass(kind, msgspec.Struct):
        return not next(f for f in msgspec.structs.fields(kind) if f.name == name).required
    field = next(f for f in dataclasses.fields(kind) if f.name == name)
    return not field.default is field.default_factory is dataclasses.MISSING


def _without_none(hint: Any) -> tuple[Any, bool]:
    if get_origin(hint) in (UnionType, Union):
        rest = [part for part in get_args(hint) if part is not type(None)]
        return rest[0], len(rest) < len(get_args(hint))
    return hint, False


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and bool(field.message_type.GetOptions().map_entry)


def _is_plain(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, msgspec.Struct)
