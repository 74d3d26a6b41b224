"""A folded study as bytes, so that a reader does not have to read the journal from its start.

Every field of `Study` and `Target` is written by its declared type, so that a new field needs no
code here. The parts of a target (objective, criterion, layout) are built again from the study's
specification.
"""

from __future__ import annotations

from dataclasses import fields
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import msgspec
import numpy as np

from blackbox_am.core.spec import ArrayData
from blackbox_am.errors import StoreCorrupt
from blackbox_am.studies.events import Created
from blackbox_am.studies.scoring import Measured
from blackbox_am.studies.study import Study
from blackbox_am.studies.targets import Target, targets_of

T = TypeVar("T")


def encode(study: Study) -> bytes:
    """The study as bytes."""
    values = _values(study, {"targets", "measured"})
    values["targets"] = [_values(target, _BUILT) for target in study.targets]
    values["measured"] = _values(study.measured, set())
    return _encoder.encode(values)


def decode(body: bytes) -> Study:
    """The inverse of `encode`.

    Raises:
        StoreCorrupt: if the bytes are not a study.
    """
    try:
        values = msgspec.msgpack.decode(body)
        created = msgspec.convert(values["created"], Created)
        targets = [
            _built(Target, value, **_values(target, _MOVING))
            for value, target in zip(
                values["targets"], targets_of(created.spec, created.input_digests), strict=True
            )
        ]
        measured = _built(Measured, values["measured"])
        return _built(Study, values, targets=targets, measured=measured)
    except (msgspec.MsgspecError, ValueError, TypeError, KeyError) as error:
        raise StoreCorrupt(
            f"the store holds a folded study that cannot be read ({error}); restore the store "
            "from a backup, or delete the study"
        ) from error


def _values(instance: Any, leave_out: set[str]) -> dict[str, Any]:
    names = [field.name for field in fields(instance)]
    return {name: getattr(instance, name) for name in names if name not in leave_out}


def _built(kind: type[T], values: dict[str, Any], **ready: Any) -> T:
    converted = {
        name: msgspec.convert(values[name], hint, dec_hook=_read)
        for name, hint in _hints[kind].items()
        if name not in ready
    }
    return kind(**converted, **ready)


def _field_types(kind: type[Any]) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: _simple(hints[field.name]) for field in fields(kind)}


def _simple(hint: Any) -> Any:
    """The type `hint`, without the dtype of arrays: the bytes have the dtype."""
    if get_origin(hint) is np.ndarray:
        return np.ndarray
    if isinstance(hint, UnionType) and any(
        get_origin(kind) is np.ndarray for kind in get_args(hint)
    ):
        return np.ndarray | None
    return hint


def _write(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        if value.dtype == bool:  # a mask of rows, which is never sent over the wire
            return ArrayData("bool", value.shape, value.tobytes())
        return ArrayData.of(value)
    raise NotImplementedError(f"a {type(value).__name__} cannot be written")


def _read(kind: Any, value: Any) -> Any:
    if kind is not np.ndarray:
        raise NotImplementedError(f"a {kind} cannot be read")
    array = msgspec.convert(value, ArrayData)
    if array.dtype == "bool":
        return np.frombuffer(array.data, bool).reshape(array.shape).copy()
    return array.numpy().copy()


_encoder = msgspec.msgpack.Encoder(enc_hook=_write)
_hints: dict[type[Any], dict[str, Any]] = {
    kind: _field_types(kind) for kind in (Study, Target, Measured)
}
_BUILT = {"objective", "criterion", "layout", "key"}
"""Fields of a target that follow from the study's specification."""
_MOVING = {field.name for field in fields(Target)} - _BUILT
