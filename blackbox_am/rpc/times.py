"""Points in time and durations on the wire."""

from __future__ import annotations

from datetime import UTC, datetime

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from blackbox_am.errors import InvalidInput

MAX_SECONDS = 1e9


def time_to_proto(seconds: float) -> Timestamp:
    """Seconds since the epoch as a timestamp."""
    stamp = Timestamp()
    stamp.FromDatetime(datetime.fromtimestamp(seconds, UTC))
    return stamp


def time_from_proto(stamp: Timestamp) -> datetime:
    """A timestamp as an aware datetime, UTC."""
    return stamp.ToDatetime(UTC)


def duration_to_proto(seconds: float, field: str) -> Duration:
    """Seconds as a duration.

    Raises:
        InvalidInput: for nan, and for more than about 30 years.
    """
    if not abs(seconds) <= MAX_SECONDS:
        raise InvalidInput(
            f"{field}: expected seconds, at most {MAX_SECONDS:g}, got {seconds}", field=field
        )
    duration = Duration()
    duration.FromNanoseconds(round(seconds * 1e9))
    return duration


def duration_from_proto(duration: Duration) -> float:
    """A duration in seconds."""
    return duration.seconds + duration.nanos / 1e9
