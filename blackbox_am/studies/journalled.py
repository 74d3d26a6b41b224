"""A study and its journal: every change is written to the store before it becomes visible.

The loop of a study can have a generation written while it measures the next one. Every other caller
waits for this write first, so nobody sees or changes a study that is not in the store.

After a failed write the object is stale and refuses every call; the study must be recovered from
the store. A write whose error came after its commit has not failed: the events are in the store.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent import futures
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import dataclass

from blackbox_am.core.accounts import Order
from blackbox_am.core.spec import ArrayData, Budget
from blackbox_am.core.store import Entry, Store, StoredSnapshot
from blackbox_am.core.types import Accounting, Best, StopReason, StudyState
from blackbox_am.errors import NotFound, StoreError
from blackbox_am.studies import decisions, folded, reports
from blackbox_am.studies.events import (
    Adopted,
    Created,
    Event,
    GenerationClosed,
    Rechecked,
    StateChanged,
    entry,
)
from blackbox_am.studies.inputs import references
from blackbox_am.studies.leases import LeaseBook
from blackbox_am.studies.ownership import Ownership
from blackbox_am.studies.published import Published
from blackbox_am.studies.study import Study

log = logging.getLogger(__name__)

FOLD_EVENTS = 256
"""Largest number of events between two writes of the folded study, so that readers fold few
events.
"""


class Stale(StoreError):
    """The object is out of date and did nothing; recover the study and repeat the call."""


class JournalledStudy:
    """A study in the process that owns it, without its optimizer. Safe to call from any thread.

    Attributes:
        store: the store of the journal.
        study_id: the study's id in the store.
        study: the state; read it only under `reading`.
        leases: the candidates that each client measures.
        ownership: the lease for writing; None if the study is written without a lease, which is
            possible only as long as no other process holds one.
        published: an immutable view of the study, replaced after each append.
        best: the best candidate of each target that has one; immutable.
        stale: whether the object refuses every call and the study must be recovered from the store.
        models_checked: whether the models were compared with those of the study's start.
        on_change: called after every append, on the thread that has written it.
    """

    def __init__(
        self,
        store: Store,
        study_id: str,
        study: Study,
        ownership: Ownership | None,
        clock: Callable[[], float],
    ) -> None:
        self.store = store
        self.study_id = study_id
        self.study = study
        self.leases = LeaseBook(clock)
        self.ownership = ownership
        self.on_change: Callable[[], None] = lambda: None
        self.stale = False
        self.models_checked = False
        self.published = Published.of(study_id, study)
        self.best: tuple[Best, ...] = ()
        self._lock = threading.RLock()
        self._folded = 0
        self._writing: Future[None] | None = None

    @property
    def token(self) -> int | None:
        """The fencing token of the appends."""
        return None if self.ownership is None else self.ownership.token

    def check_owned(self) -> None:
        """Raise an error if the study has, or may have, another owner.

        Raises:
            NotOwner: if it does.
        """
        if self.ownership is not None:
            self.ownership.check()

    @contextmanager
    def reading(self) -> Iterator[Study]:
        """Hold the lock of the state while it is read."""
        with self._locked():
            yield self.study

    def retire(self, *, wait: bool = True) -> bytes | None:
        """Make the object stale, because the study is deleted or goes to another owner.

        Args:
            wait: whether to wait for a running call; otherwise nothing happens if a call is
                running.

        Returns:
            The data for the next owner, empty if the study is out of date here; None if a call is
            running.
        """
        if not self._lock.acquire(blocking=wait):
            return None
        try:
            if self._writing is not None:
                futures.wait([self._writing])
            if self.stale:
                return b""
            self.stale = True
            owner = "" if self.ownership is None else self.ownership.lease.owner
            return self.leases.to_bytes(owner, self.study.generation)
        finally:
            self._lock.release()

    def written(self) -> None:
        """Wait until everything is in the store.

        Raises:
            StoreError, NotOwner, SequenceTaken: if the last write has failed.
        """
        with self._locked():
            pass

    # Control

    def start(self) -> None:
        """Mark a pending study as running."""
        with self._locked():
            if self.study.state is StudyState.PENDING:
                self._append([StateChanged(StudyState.RUNNING)])

    def conclude(self) -> None:
        """End the study if all its targets are finished."""
        with self._locked():
            self._append_if(decisions.concluded(self.study))

    def pause(self) -> None:
        """Pause: no candidates are given out until the study is resumed."""
        with self._locked():
            self._append_if(decisions.paused(self.study))

    def suspend(
        self,
        message: str,
        reason: StopReason = StopReason.ORACLE,
        probe_answers: ArrayData | None = None,
    ) -> None:
        """Pause because the oracle is unavailable or its quota is used up; `message` has the
        reason, and `probe_answers` what a probe that is not complete has measured.
        """
        with self._locked():
            if self.study.state.active:
                event = StateChanged(
                    StudyState.PAUSED, reason, message, probe_answers=probe_answers
                )
                self._append([event])

    def note(self, message: str) -> None:
        """Set the message about what a study that is to run waits for; "" if it does not wait."""
        with self._locked():
            study, waits = self.study, (StudyState.PENDING, StudyState.RUNNING)
            if study.state in waits and study.message != message:
                self._append([StateChanged(study.state, study.stop_reason, message)])

    def bill(self, spent: Accounting) -> None:
        """Add calls without a result in the journal to the accounts."""
        with self._locked():
            study = self.study
            self._append([StateChanged(study.state, study.stop_reason, study.message, spent)])

    def resume(self) -> None:
        """Set a paused or failed study to pending."""
        with self._locked():
            self._append_if(decisions.resumed(self.study))

    def cancel(self) -> None:
        """Cancel the study permanently."""
        with self._locked():
            self._append_if(decisions.cancelled(self.study))

    def fail(self, message: str) -> None:
        """End a study that cannot continue; `message` has the reason."""
        with self._locked():
            if self.study.state.active:
                self._append([StateChanged(StudyState.FAILED, StopReason.ORACLE, message)])

    def adopt(self, adopted: Adopted) -> None:
        """Continue with another oracle or generator than at the beginning; the journal records the
        change.
        """
        with self._locked():
            self._append([adopted])
            self._reopened()

    def extend(self, budget: Budget) -> None:
        """Raise the budget."""
        with self._locked():
            self._append([decisions.extended(self.study, budget)])
            self._reopened()

    # Internal

    def _reopened(self) -> None:
        """Called when another generation has become the open one."""

    def _snapshot(self) -> StoredSnapshot | None:
        """The snapshot that is due after a closed generation, or None."""
        return None

    @contextmanager
    def _locked(self, *, ahead: bool = False) -> Iterator[None]:
        """Hold the lock of the state.

        Args:
            ahead: whether the caller may see a generation that is still being written.
        """
        with self._lock:
            writing = self._writing
            if writing is not None and (writing.done() or not ahead):
                self._writing = None
                writing.result()
            if self.stale:
                raise Stale(
                    f"study {self.study_id!r} could not be written and is out of date here; "
                    "it has to be taken up again from the store"
                )
            yield

    def _begin(self, created: Created, order: Order | None, *, keep_inputs: bool) -> None:
        """Write the first event."""
        summary, events = self.published.summary(), [entry(created)]
        kept = references(created.spec) if keep_inputs else {}
        self.store.append(
            self.study_id,
            1,
            events,
            token=self.token,
            summary=summary,
            order=order,
            references=kept,
        )

    def _append_if(self, event: Event | None) -> None:
        if event is not None:
            self._append([event])

    def _append(self, events: Iterable[Event], writer: Executor | None = None) -> None:
        """Fold events, and write them with the study's new row of the index.

        No reader sees the study in between. After a failed write the object is stale.

        Args:
            events: the events. A generator finds its earlier events folded when it makes the next.
            writer: writes the events while the caller goes on; the next caller of `_locked` waits
                for the write and gets its error. None writes them at once.
        """
        try:
            first, entries = self.study.sequence + 1, list[Entry]()
            closed = ended = False
            for event in events:
                self.study.apply(event)
                entries.append(entry(event))
                closed = closed or isinstance(event, GenerationClosed)
                ended = ended or isinstance(event, (GenerationClosed, Rechecked))
            snapshot = self._snapshot() if closed else None
            append = _Append(
                first,
                entries,
                Published.of(self.study_id, self.study, before=self.published),
                tuple(reports.best(self.study_id, self.study)) if ended else self.best,
                self._whole(snapshot),
                snapshot,
            )
        except BaseException:
            self.stale = True
            raise
        if writer is None:
            self._write(append)
        else:
            self._writing = writer.submit(self._write, append)

    def _write(self, append: _Append) -> None:
        """Write folded events to the store, and publish them."""
        try:
            self.store.append(
                self.study_id,
                append.first,
                append.entries,
                token=self.token,
                summary=append.published.summary(append.whole),
                snapshot=append.snapshot,
            )
        except BaseException as error:
            if not (isinstance(error, StoreError) and self._stored(append)):
                self.stale = True
                raise
            log.warning("study %r: %s; its events are in the store", self.study_id, error)
        if append.whole is not None:
            self._folded = append.published.progress.sequence
        self.published, self.best = append.published, append.best
        self.on_change()

    def _stored(self, append: _Append) -> bool:
        """Whether the events are in the store although their write failed, because the database was
        lost while it committed. They are not if the store's file is deleted, though it can still be
        read here.
        """
        try:
            records = self.store.read(self.study_id, append.first - 1, len(append.entries))
            self.store.check()  # the file that was read may have been deleted or replaced
        except (StoreError, NotFound):
            return False
        return [one.body for one in records] == [one.body for one in append.entries]

    def _whole(self, snapshot: StoredSnapshot | None) -> bytes | None:
        """The folded study if it is due to be written for readers, else None."""
        if snapshot is not None:
            return snapshot.study
        moving = self.study.state in (StudyState.PENDING, StudyState.RUNNING)
        if moving and self.study.sequence - self._folded < FOLD_EVENTS:
            return None
        return folded.encode(self.study)

    def _publish_all(self) -> None:
        created_at = self.store.find(self.study_id).created_at
        self.published = Published.of(self.study_id, self.study, created_at)
        self.best = tuple(reports.best(self.study_id, self.study))


@dataclass(frozen=True)
class _Append:
    """Folded events that are to be written.

    Attributes:
        first: sequence number of the first event.
        entries: the events.
        published, best: the study after the events.
        whole: the folded study, if it is due.
        snapshot: the snapshot, if it is due.
    """

    first: int
    entries: list[Entry]
    published: Published
    best: tuple[Best, ...]
    whole: bytes | None
    snapshot: StoredSnapshot | None
