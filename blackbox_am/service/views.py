"""Studies and their events as messages."""

from __future__ import annotations

import warnings
from datetime import UTC, datetime

import numpy as np

from blackbox_am.core import study_events as seen_as
from blackbox_am.core.identity import Fingerprint
from blackbox_am.core.store import Record
from blackbox_am.core.types import FloatArray, StudyState
from blackbox_am.errors import InvalidInput, StoreCorrupt
from blackbox_am.rpc import events, names, progress, times
from blackbox_am.rpc.mapping import to_message
from blackbox_am.studies import quantities, reports
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
from blackbox_am.v1 import study_event_pb2, study_pb2


def study_view(number: int, default: int = study_pb2.STUDY_VIEW_FULL) -> bool:
    """Whether a caller wants to see the whole of a study.

    Raises:
        InvalidInput: for a number that is no view.
    """
    if number not in study_pb2.StudyView.values():
        raise InvalidInput(f"view: expected BASIC or FULL, got number {number}", field="view")
    return (number or default) == study_pb2.STUDY_VIEW_FULL


def study_to_proto(
    study_id: str, study: Study, created_at: float, full: bool = True
) -> study_pb2.Study:
    """A study as a message. Under a study's lock: `study` must hold still.

    Args:
        study_id: its id; "" for one that was only checked.
        study: its state.
        created_at: seconds since the epoch; 0 for one that was only checked.
        full: whether with what grows with the number of targets.
    """
    message = progress.progress_to_proto(reports.progress(study_id, study))
    to_message(study.spec, message.spec)
    to_message(study.budget, message.spec.budget)
    to_message(study.space, message.space)
    to_message(study.optimizer, message.optimizer)
    message.stimulus_shape.extend(study.created.stimulus_shape)
    message.population = study.population
    message.quantities.extend(quantities.names(study))
    message.oracle_fingerprint = _digest(study.oracle_fingerprint)
    message.generator_fingerprint = _digest(study.generator_fingerprint)
    message.noisy = study.created.noisy
    if created_at:
        message.create_time.CopyFrom(times.time_to_proto(created_at))
    if not full:
        _shorten(message)
    return message


def _digest(fingerprint: Fingerprint | None) -> str:
    return "" if fingerprint is None else fingerprint.digest


def _shorten(message: study_pb2.Study) -> None:
    """Clears what grows with the number of targets or dimensions."""
    del message.targets[:], message.quantities[:], message.spec.targets[:], message.spec.criteria[:]
    message.spec.ClearField("start")
    spaces = [message.space]
    if message.spec.HasField("space"):
        spaces.append(message.spec.space)
    for space in spaces:
        del space.low[:], space.high[:], space.parts[:]


def unreadable(study_id: str, error: StoreCorrupt) -> study_pb2.Study:
    """What a listing says of a study whose journal is damaged."""
    failed = progress.state_to_proto(StudyState.FAILED)
    return study_pb2.Study(name=names.study_name(study_id), state=failed, message=error.message)


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

    def tell(self, record: Record) -> study_event_pb2.StudyEvent:
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
        seen = (record.sequence, datetime.fromtimestamp(record.time, UTC))
        if self.study is None:
            self.study, self.created_at = Study.fold([event]), record.time
            return events.to_proto(seen_as.Created(*seen))
        told = _seen(event, self.study, seen)
        self.study.apply(event)
        return events.to_proto(told)


def _seen(event: Event, before: Study, seen: tuple[int, datetime]) -> seen_as.StudyEvent:
    """The event as watchers see it.

    Args:
        event: from the journal.
        before: the study before it.
        seen: its sequence number and time.
    """
    match event:
        case StateChanged():
            return seen_as.StateChanged(*seen, event.state, event.stop_reason, event.message)
        case GenerationOpened():
            candidates = len(before.active) * before.rows
            return seen_as.GenerationOpened(*seen, event.generation, candidates)
        case RowsTold():
            rows = len(event.activations.numpy())
            return seen_as.RowsTold(*seen, event.generation, rows, _failed(event, before))
        case GenerationClosed():
            return _closed(event, before, seen)
        case BudgetChanged():
            return seen_as.BudgetChanged(*seen, event.budget)
        case Resumed():
            return seen_as.Resumed(*seen, event.generation, event.exact, event.message)
        case Adopted():
            digests = (_digest(event.oracle_fingerprint), _digest(event.generator_fingerprint))
            return seen_as.Adopted(*seen, *digests, event.message)
        case Created():
            return seen_as.Created(*seen)


def _closed(
    event: GenerationClosed, before: Study, seen: tuple[int, datetime]
) -> seen_as.GenerationClosed:
    scores = before.scores()
    best, mean = _summary(scores)
    earlier = np.array([before.targets[index].best_score for index in before.active])
    so_far = np.fmax(best, np.where(np.isneginf(earlier), np.nan, earlier))
    return seen_as.GenerationClosed(
        *seen,
        event.generation,
        before.active,
        tuple(best.tolist()),
        tuple(mean.tolist()),
        tuple(so_far.tolist()),
        scores.size,
        event.seconds,
    )


def _summary(scores: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Best and mean score of each target, nan where every row failed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of rows that are nan throughout
        return np.nanmax(scores, axis=1), np.nanmean(scores, axis=1)


def _failed(event: RowsTold, study: Study) -> int:
    """Rows without a value for one of the units that their target reads."""
    widths = np.array([len(target.objective.reads()) for target in study.targets])
    activations = event.activations.numpy()
    mine = np.arange(activations.shape[1]) < widths[event.targets.numpy()][:, None]
    return int((np.isnan(activations) & mine).any(axis=1).sum())
