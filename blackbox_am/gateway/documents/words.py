"""Small parts of documents: enumerations as words, optional fields as null, times as text."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from blackbox_am.v1 import oracle_service_pb2, study_pb2


def state(number: int) -> str:
    """The state as a word: `running`; empty if it is unknown."""
    return _word(study_pb2.StudyState, number, "STUDY_STATE_")


def stop_reason(number: int) -> str:
    """The reason as a word: `budget`; empty for none."""
    return _word(study_pb2.StopReason, number, "STOP_REASON_")


def best_source(number: int) -> str:
    """The kind of a best candidate as a word: `row`, `centre`."""
    return _word(study_pb2.BestSource, number, "BEST_SOURCE_")


def capability(number: int) -> str:
    """The capability as a word: `gradients`."""
    return _word(oracle_service_pb2.Capability, number, "CAPABILITY_")


def optional(message: Any, field: str) -> Any:
    """The value of a field; None if it is unset."""
    return getattr(message, field) if message.HasField(field) else None


def time(stamp: Timestamp) -> str | None:
    """A point in time as ISO 8601 with milliseconds, UTC; None if it is unset."""
    if not stamp.seconds:
        return None
    text = stamp.ToDatetime(UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def _word(enum: Any, number: int, prefix: str) -> str:
    if number not in enum.values() or not number:
        return ""
    return str(enum.Name(number)).removeprefix(prefix).lower()
