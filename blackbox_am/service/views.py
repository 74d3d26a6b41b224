"""Studies and their events as messages."""

from __future__ import annotations

from blackbox_am.core.store import Record
from blackbox_am.core.types import StudyState
from blackbox_am.errors import StoreCorrupt
from blackbox_am.rpc import names, progress, specs
from blackbox_am.studies import reports
from blackbox_am.studies.events import (
    Adopted,
    BudgetChanged,
    Created,
    Event,
    GenerationClosed,
    GenerationOpened,
    Resumed,
    RowsTold,
    StateChanged,
    decode,
)
from blackbox_am.studies.study import Study
from blackbox_am.v1 import study_pb2 as pb


def study_to_proto(study_id: str, study: Study, created_at: float) -> pb.Study:
    """The whole of a study. Under a study's lock: `study` must hold still.

    Args:
        study_id: its id; "" for one that was only checked.
        study: its state.
        created_at: seconds since the epoch; 0 for one that was only checked.
    """
    message = progress.progress_to_proto(reports.progress(study_id, study))
    message.spec.CopyFrom(specs.study_to_proto(study.spec))
    message.spec.budget.CopyFrom(specs.budget_to_proto(study.budget))
    message.space.CopyFrom(specs.space_to_proto(study.space))
    message.stimulus_shape.extend(study.created.stimulus_shape)
    message.population = study.population
    message.optimizer.CopyFrom(specs.optimizer_to_proto(study.optimizer))
    message.name = names.study_name(study_id) if study_id else ""
    if created_at:
        message.create_time.CopyFrom(progress.time_to_proto(created_at))
    return message


def unreadable(study_id: str, error: StoreCorrupt) -> pb.Study:
    """What a listing says of a study whose journal is damaged."""
    failed = progress.state_to_proto(StudyState.FAILED)
    return pb.Study(name=names.study_name(study_id), state=failed, message=error.message)


class Narrator:
    """Folds a journal, record by record, and tells each as a message.

    What an event says of scores depends on the study before it, so the journal is told
    from its beginning.

    Attributes:
        study: the study up to the last record; None before the first.
        created_at: when it began, in seconds since the epoch.
    """

    def __init__(self) -> None:
        self.study: Study | None = None
        self.created_at = 0.0

    @property
    def sequence(self) -> int:
        """Of the last record."""
        return 0 if self.study is None else self.study.sequence

    def tell(self, record: Record) -> pb.StudyEvent:
        """The next record as a message, folded in.

        Raises:
            StoreCorrupt: where the journal has a gap, or cannot be read.
        """
        if record.sequence != self.sequence + 1:
            raise StoreCorrupt(
                f"the journal has a gap: event {self.sequence + 1} is missing; restore the store "
                "from a backup, or delete the study"
            )
        event = decode(record.body)
        message = pb.StudyEvent(sequence=record.sequence, time=progress.time_to_proto(record.time))
        if self.study is None:
            self.study, self.created_at = Study.fold([event]), record.time
            message.created.SetInParent()
        else:
            _describe(message, event, self.study)
            self.study.apply(event)
        return message


def _describe(message: pb.StudyEvent, event: Event, before: Study) -> None:
    match event:
        case StateChanged():
            message.state_changed.state = progress.state_to_proto(event.state)
            message.state_changed.stop_reason = progress.stop_reason_to_proto(event.stop_reason)
            message.state_changed.message = event.message
        case GenerationOpened():
            message.generation_opened.generation = event.generation
            message.generation_opened.candidates = int(event.wanted.numpy().sum())
        case RowsTold():
            message.rows_told.generation = event.generation
            message.rows_told.rows = len(event.rows.numpy())
            message.rows_told.failed = event.failed
        case GenerationClosed():
            _describe_closed(message.generation_closed, event)
        case BudgetChanged():
            message.budget_changed.budget.CopyFrom(specs.budget_to_proto(event.budget))
        case Resumed():
            message.resumed.generation = event.generation
            message.resumed.exact = event.exact
            message.resumed.message = event.message
        case Adopted():
            message.resumed.generation = before.generation
            message.resumed.exact = True
            message.resumed.message = f"another model was adopted: {event.message}"
        case Created():
            message.created.SetInParent()


def _describe_closed(closed: pb.StudyEvent.GenerationClosed, event: GenerationClosed) -> None:
    closed.generation = event.generation
    closed.targets.extend(event.targets.numpy().tolist())
    closed.best_scores.extend(event.best_scores.numpy().tolist())
    closed.mean_scores.extend(event.mean_scores.numpy().tolist())
    closed.total_rows = int(event.measured.numpy().sum())
    closed.seconds = event.seconds
