"""A study and its journal: every change is written to the store before anybody sees it.

Where writing fails, the object is stale and refuses everything: the study has to be recovered
from the store.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from blackbox_am.core.spec import Budget
from blackbox_am.core.store import Store, StoredSnapshot
from blackbox_am.core.types import Accounting, Best, StopReason, StudyState
from blackbox_am.studies import decisions, folded, reports
from blackbox_am.studies.events import Created, Event, GenerationClosed, StateChanged, entry
from blackbox_am.studies.leases import LeaseBook
from blackbox_am.studies.ownership import Ownership
from blackbox_am.studies.published import Published
from blackbox_am.studies.stale import Stale
from blackbox_am.studies.study import Study

FOLD_EVENTS = 256
"""The folded study is written after so many events at the latest, so that readers fold few."""


class JournalledStudy:
    """A study in the process that owns it, without its optimizer. Safe to call from any thread.

    Attributes:
        store: where it is kept.
        study_id: its id in the store.
        study: its state. To be read under `reading`.
        leases: which client measures which candidates.
        ownership: the lease under which it is written; None where it is written without one,
            and only as long as no other process holds one.
        published: what is known of it; immutable, and replaced after each append.
        best: the best of each target that has one; as immutable.
        stale: whether it refuses everything, and has to be recovered from the store.
        on_change: called after every append, on the thread that appended.
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
        self.published = Published.of(study_id, study)
        self.best: tuple[Best, ...] = ()
        self._lock = threading.RLock()
        self._folded = 0

    @property
    def token(self) -> int | None:
        """The fencing token of its appends."""
        return None if self.ownership is None else self.ownership.token

    def check_owned(self) -> None:
        """Raises where the study has, or may have, another owner.

        Raises:
            NotOwner: then.
        """
        if self.ownership is not None:
            self.ownership.check()

    @contextmanager
    def reading(self) -> Iterator[Study]:
        """The study's state, held still while it is looked at."""
        with self._locked():
            yield self.study

    def retire(self, *, wait: bool = True) -> bytes | None:
        """Refuses everything from now on: the study is deleted, or goes to another owner.

        Args:
            wait: for what is under way; without, nothing is done where something is.

        Returns:
            What the next owner is handed; empty where the study is out of date here. None where
            something is under way.
        """
        if not self._lock.acquire(blocking=wait):
            return None
        try:
            if self.stale:
                return b""
            self.stale = True
            owner = "" if self.ownership is None else self.ownership.lease.owner
            return self.leases.to_bytes(owner, self.study.generation)
        finally:
            self._lock.release()

    # Steering

    def start(self) -> None:
        """Marks a pending study as running."""
        with self._locked():
            if self.study.state is StudyState.PENDING:
                self._append([StateChanged(StudyState.RUNNING)])

    def conclude(self) -> None:
        """Ends the study where all its targets are finished."""
        with self._locked():
            self._append_if(decisions.concluded(self.study))

    def pause(self) -> None:
        """Hands out nothing more until resumed."""
        with self._locked():
            self._append_if(decisions.paused(self.study))

    def suspend(self, message: str, reason: StopReason = StopReason.ORACLE) -> None:
        """Pauses because the oracle is unavailable, or its quota is used up, as `message` says."""
        with self._locked():
            if self.study.state.active:
                self._append([StateChanged(StudyState.PAUSED, reason, message)])

    def note(self, message: str) -> None:
        """Says in the study's message what a running study waits for; "" for nothing."""
        with self._locked():
            if self.study.state is StudyState.RUNNING and self.study.message != message:
                self._append([StateChanged(StudyState.RUNNING, self.study.stop_reason, message)])

    def bill(self, spent: Accounting) -> None:
        """Adds to the accounts what was asked of the oracle without a result in the journal."""
        with self._locked():
            study = self.study
            self._append([StateChanged(study.state, study.stop_reason, study.message, spent)])

    def resume(self) -> None:
        """Makes a paused or failed study pending again."""
        with self._locked():
            self._append_if(decisions.resumed(self.study))

    def cancel(self) -> None:
        """Ends the study for good."""
        with self._locked():
            self._append_if(decisions.cancelled(self.study))

    def fail(self, message: str) -> None:
        """Ends the study, which cannot go on; `message` says why."""
        with self._locked():
            if self.study.state.active:
                self._append([StateChanged(StudyState.FAILED, StopReason.ORACLE, message)])

    def extend(self, budget: Budget) -> None:
        """Raises the budget."""
        with self._locked():
            self._append([decisions.extended(self.study, budget)])
            self._reopened()

    # Inside

    def _reopened(self) -> None:
        """The open generation is another one now."""

    def _snapshot(self) -> StoredSnapshot | None:
        """The snapshot that is due after a generation was closed, or None."""
        return None

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self._lock:
            if self.stale:
                raise Stale(
                    f"study {self.study_id!r} could not be written and is out of date here; "
                    "it has to be taken up again from the store"
                )
            yield

    def _begin(self, created: Created) -> None:
        """Writes the first event."""
        summary = self.published.summary()
        self.store.append(self.study_id, 1, [entry(created)], token=self.token, summary=summary)

    def _append_if(self, event: Event | None) -> None:
        if event is not None:
            self._append([event])

    def _append(self, events: Sequence[Event]) -> None:
        """Folds events in and writes them, with the index row that tells of the study after them.

        Nobody sees the study in between. Where writing fails, the object is stale.
        """
        try:
            first = self.study.sequence + 1
            for event in events:
                self.study.apply(event)
            closed = any(isinstance(event, GenerationClosed) for event in events)
            snapshot = self._snapshot() if closed else None
            published = Published.of(self.study_id, self.study, before=self.published)
            whole = self._whole(snapshot)
            self.store.append(
                self.study_id,
                first,
                [entry(event) for event in events],
                token=self.token,
                summary=published.summary(whole),
                snapshot=snapshot,
            )
        except BaseException:
            self.stale = True
            raise
        if whole is not None:
            self._folded = self.study.sequence
        self.published = published
        if closed:
            self.best = tuple(reports.best(self.study_id, self.study))
        self.on_change()

    def _whole(self, snapshot: StoredSnapshot | None) -> bytes | None:
        """The folded study, where it is to be written for readers."""
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
