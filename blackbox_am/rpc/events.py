"""Events of studies on the wire."""

from __future__ import annotations

from blackbox_am.core import study_events as events
from blackbox_am.rpc.mapping import plain_of, to_message
from blackbox_am.v1 import study_event_pb2 as pb

KINDS: dict[str, type[events.StudyEvent]] = {
    "created": events.Created,
    "state_changed": events.StateChanged,
    "generation_opened": events.GenerationOpened,
    "rows_told": events.RowsTold,
    "generation_closed": events.GenerationClosed,
    "budget_changed": events.BudgetChanged,
    "resumed": events.Resumed,
    "adopted": events.Adopted,
    "baseline_measured": events.BaselineMeasured,
    "best_rechecked": events.BestRechecked,
}
"""The event that stands in each field of the message's oneof."""

_FIELDS = {kind: field for field, kind in KINDS.items()}


def to_proto(event: events.StudyEvent) -> pb.StudyEvent:
    """An event as a message."""
    message = to_message(event, pb.StudyEvent())
    own = getattr(message, _FIELDS[type(event)])
    own.SetInParent()
    to_message(event, own)
    return message


def from_proto(message: pb.StudyEvent) -> events.StudyEvent:
    """The event in `message`; a bare `StudyEvent` for a kind of a newer server."""
    common = plain_of(message, events.StudyEvent)
    field = message.WhichOneof("event")
    if field is None:
        return events.StudyEvent(**common)
    kind = KINDS[field]
    return kind(**{**plain_of(getattr(message, field), kind), **common})
