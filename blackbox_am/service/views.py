"""Studies and their events as messages."""

from __future__ import annotations

import math
from datetime import UTC, datetime

from blackbox_am.core import study_events as seen_as
from blackbox_am.core.identity import Fingerprint
from blackbox_am.core.store import Record
from blackbox_am.core.types import Estimate, StopReason, StudyState
from blackbox_am.errors import InvalidInput
from blackbox_am.rpc import events, names, progress, times
from blackbox_am.rpc.mapping import to_message
from blackbox_am.studies import telling
from blackbox_am.studies.events import (
    Adopted,
    BaselineMeasured,
    BudgetChanged,
    Created,
    Event,
    GenerationClosed,
    GenerationOpened,
    OracleProbed,
    Rechecked,
    Resumed,
    RowsTold,
    StateChanged,
    decode,
)
from blackbox_am.studies.published import Published
from blackbox_am.studies.rechecks import recheck_of
from blackbox_am.v1 import study_event_pb2, study_pb2


def study_view(number: int, default: int = study_pb2.STUDY_VIEW_FULL) -> bool:
    """Whether a caller requests the full view of a study.

    Raises:
        InvalidInput: for a number without a view.
    """
    if number not in study_pb2.StudyView.values():
        raise InvalidInput(f"view: expected BASIC or FULL, got number {number}", field="view")
    return (number or default) == study_pb2.STUDY_VIEW_FULL


def study_to_proto(
    study_id: str, published: Published, full: bool = True, owner: str = ""
) -> study_pb2.Study:
    """A study as a message.

    Args:
        study_id: its id; "" for a study that was only checked.
        published: the published view of the study.
        full: whether to include fields that grow with the number of targets.
        owner: the principal to whom the study belongs.
    """
    created = published.created
    message = progress.progress_to_proto(published.progress)
    message.name = names.study_name(study_id) if study_id else ""
    message.owner = owner
    to_message(created.spec, message.spec)
    to_message(published.budget, message.spec.budget)
    to_message(created.space, message.space)
    to_message(created.optimizer or created.spec.optimizer, message.optimizer)
    message.stimulus_shape.extend(created.stimulus_shape)
    message.population = created.population
    message.units.extend(telling.units(created.spec))
    message.oracle_fingerprint = _digest(created.oracle_fingerprint)
    message.generator_fingerprint = _digest(created.generator_fingerprint)
    message.noisy = created.noisy
    if published.created_at:
        message.create_time.CopyFrom(times.time_to_proto(published.created_at))
    if not full:
        _shorten(message)
    return message


def _digest(fingerprint: Fingerprint | None) -> str:
    return "" if fingerprint is None else fingerprint.digest


def _shorten(message: study_pb2.Study) -> None:
    """Clears the fields that grow with the number of targets or dimensions."""
    del message.targets[:], message.units[:], message.spec.targets[:], message.spec.criteria[:]
    message.spec.ClearField("start")
    spaces = [message.space]
    if message.spec.HasField("space"):
        spaces.append(message.spec.space)
    for space in spaces:
        del space.low[:], space.high[:], space.parts[:]


def unreadable(study_id: str, message: str) -> study_pb2.Study:
    """The entry in a listing for a study that cannot be read."""
    failed = progress.state_to_proto(StudyState.FAILED)
    return study_pb2.Study(name=names.study_name(study_id), state=failed, message=message)


def event_to_proto(record: Record) -> study_event_pb2.StudyEvent:
    """The message for an event of a journal, without reading other events.

    Raises:
        StoreCorrupt: if the event cannot be read.
    """
    seen = (record.sequence, datetime.fromtimestamp(record.time, UTC))
    return events.to_proto(_seen(decode(record.body), seen))


def _seen(event: Event, seen: tuple[int, datetime]) -> seen_as.StudyEvent:
    """The event for watchers, with its sequence number and time."""
    match event:
        case Created():
            return seen_as.Created(*seen)
        case OracleProbed():
            return seen_as.StateChanged(*seen, StudyState.RUNNING, StopReason.NONE, event.warning)
        case BaselineMeasured() | Rechecked():
            return _measured(event, seen)
        case GenerationOpened():
            return seen_as.GenerationOpened(
                *seen, event.generation, int(event.wanted.numpy().sum())
            )
        case RowsTold():
            rows = len(event.rows.numpy())
            return seen_as.RowsTold(*seen, event.generation, rows, event.failed)
        case GenerationClosed():
            return _closed(event, seen)
        case _:
            return _controlled(event, seen)


def _measured(
    event: BaselineMeasured | Rechecked, seen: tuple[int, datetime]
) -> seen_as.StudyEvent:
    if isinstance(event, BaselineMeasured):
        return seen_as.BaselineMeasured(*seen, len(event.values.numpy()))
    found = [recheck_of(scores, event.centre_rows) for scores in event.scores.numpy()]
    best = [Estimate(math.nan) if one is None else one.best for one in found]
    return seen_as.BestRechecked(
        *seen,
        event.generation,
        event.targets,
        tuple(one.mean for one in best),
        tuple(math.nan if one.standard_error is None else one.standard_error for one in best),
        int(event.measured.numpy().sum()),
    )


def _controlled(
    event: StateChanged | BudgetChanged | Resumed | Adopted, seen: tuple[int, datetime]
) -> seen_as.StudyEvent:
    match event:
        case StateChanged():
            return seen_as.StateChanged(*seen, event.state, event.stop_reason, event.message)
        case BudgetChanged():
            return seen_as.BudgetChanged(*seen, event.budget)
        case Resumed():
            return seen_as.Resumed(*seen, event.generation, event.exact, event.message)
        case Adopted():
            digests = (_digest(event.oracle_fingerprint), _digest(event.generator_fingerprint))
            return seen_as.Adopted(*seen, *digests, event.message)


def _closed(event: GenerationClosed, seen: tuple[int, datetime]) -> seen_as.GenerationClosed:
    return seen_as.GenerationClosed(
        *seen,
        event.generation,
        event.targets,
        tuple(event.best_scores.numpy().tolist()),
        tuple(event.mean_scores.numpy().tolist()),
        tuple(event.best_so_far.numpy().tolist()),
        int(event.measured.numpy().sum()),
        event.seconds,
        event.search_rows,
    )
