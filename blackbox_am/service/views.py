"""Studies and their events as messages."""

from __future__ import annotations

from blackbox_am.core.store import Record
from blackbox_am.core.types import StudyState
from blackbox_am.rpc import names, progress, specs
from blackbox_am.studies.events import (
    Adopted,
    BudgetChanged,
    Created,
    GenerationClosed,
    GenerationOpened,
    Resumed,
    RowsTold,
    StateChanged,
    decode,
)
from blackbox_am.studies.published import Published
from blackbox_am.v1 import study_pb2 as pb


def study_to_proto(study_id: str, published: Published) -> pb.Study:
    """The whole of a study.

    Args:
        study_id: its id; "" for one that was only checked.
        published: what is known of it.
    """
    created = published.created
    message = progress.progress_to_proto(published.progress)
    message.spec.CopyFrom(specs.study_to_proto(created.spec))
    message.spec.budget.CopyFrom(specs.budget_to_proto(published.budget))
    message.space.CopyFrom(specs.space_to_proto(created.space))
    message.stimulus_shape.extend(created.stimulus_shape)
    message.population = created.population
    message.optimizer.CopyFrom(
        specs.optimizer_to_proto(created.optimizer or created.spec.optimizer)
    )
    message.name = names.study_name(study_id) if study_id else ""
    if published.created_at:
        message.create_time.CopyFrom(progress.time_to_proto(published.created_at))
    return message


def unreadable(study_id: str, message: str) -> pb.Study:
    """What a listing says of a study that cannot be read."""
    failed = progress.state_to_proto(StudyState.FAILED)
    return pb.Study(name=names.study_name(study_id), state=failed, message=message)


def event_to_proto(record: Record) -> pb.StudyEvent:
    """An event of a journal. What is said of it stands in it: no other event is read.

    Raises:
        StoreCorrupt: where it cannot be read.
    """
    message = pb.StudyEvent(sequence=record.sequence, time=progress.time_to_proto(record.time))
    match decode(record.body):
        case StateChanged() as event:
            message.state_changed.state = progress.state_to_proto(event.state)
            message.state_changed.stop_reason = progress.stop_reason_to_proto(event.stop_reason)
            message.state_changed.message = event.message
        case GenerationOpened() as event:
            message.generation_opened.generation = event.generation
            message.generation_opened.candidates = int(event.wanted.numpy().sum())
        case RowsTold() as event:
            message.rows_told.generation = event.generation
            message.rows_told.rows = len(event.rows.numpy())
            message.rows_told.failed = event.failed
        case GenerationClosed() as event:
            _describe_closed(message.generation_closed, event)
        case BudgetChanged() as event:
            message.budget_changed.budget.CopyFrom(specs.budget_to_proto(event.budget))
        case Resumed() as event:
            message.resumed.generation = event.generation
            message.resumed.exact = event.exact
            message.resumed.message = event.message
        case Adopted() as event:
            message.resumed.generation = event.generation
            message.resumed.exact = True
            message.resumed.message = f"another model was adopted: {event.message}"
        case Created():
            message.created.SetInParent()
    return message


def _describe_closed(closed: pb.StudyEvent.GenerationClosed, event: GenerationClosed) -> None:
    closed.generation = event.generation
    closed.targets.extend(event.targets)
    closed.best_scores.extend(event.best_scores.numpy().tolist())
    closed.mean_scores.extend(event.mean_scores.numpy().tolist())
    closed.total_rows = int(event.measured.numpy().sum())
    closed.seconds = event.seconds
