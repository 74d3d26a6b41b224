"""A study that is going on: the state machine, its journal and its optimizer, joined.

Every change is written to the store before anybody sees it. Where writing fails, the object is
stale and refuses everything: the study has to be recovered from the store.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from blackbox_am.core.spec import ArrayData, Budget
from blackbox_am.core.store import Store, StoredSnapshot
from blackbox_am.core.types import Accounting, Best, StopReason, StudyState
from blackbox_am.errors import (
    GradientUnavailable,
    SequenceTaken,
    StoreCorrupt,
    StudyClosed,
    StudyExists,
)
from blackbox_am.studies import decisions, folded, reports
from blackbox_am.studies.asked import left_behind
from blackbox_am.studies.candidates import Generation, TellResult
from blackbox_am.studies.equipment import Equip, nothing
from blackbox_am.studies.events import (
    Created,
    Event,
    GenerationClosed,
    GenerationOpened,
    Resumed,
    RowsTold,
    StateChanged,
    decode,
    entry,
)
from blackbox_am.studies.leases import LeaseBook
from blackbox_am.studies.ownership import Ownership
from blackbox_am.studies.published import Published
from blackbox_am.studies.search import Search
from blackbox_am.studies.snapshots import Snapshots
from blackbox_am.studies.stale import Stale
from blackbox_am.studies.study import Study

Array = NDArray[Any]

log = logging.getLogger(__name__)

FOLD_EVENTS = 256
"""The folded study is written after so many events at the latest, so that readers fold few."""


class LiveStudy:
    """One study in the process that owns it. Safe to call from any thread.

    Attributes:
        study_id: its id in the store.
        study: its state. To be read under `reading`.
        search: its optimizer at work.
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
        *,
        ownership: Ownership | None = None,
        device: torch.device | str = "cpu",
        equip: Equip = nothing,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.store = store
        self.study_id = study_id
        self.study = study
        self.search = Search(study, torch.device(device), equip)
        self.leases = LeaseBook(clock)
        self.ownership = ownership
        self.on_change: Callable[[], None] = lambda: None
        self.stale = False
        self.published = Published.of(study_id, study)
        self.best: tuple[Best, ...] = ()
        self._clock = clock
        self._lock = threading.RLock()
        self._started = clock()
        self._snapshots = Snapshots(self.search, clock)
        self._open: Generation | None = None
        self._folded = 0

    # Beginning

    @classmethod
    def create(cls, store: Store, study_id: str, created: Created, **options: Any) -> LiveStudy:
        """Begins a study, or returns the one of that id where it began alike.

        Args:
            options: `ownership`, `device`, `equip` and `clock`, as of the constructor.

        Raises:
            StudyExists: where a study of that id began with another specification.
            NotOwner: where another process holds the study's lease.
            InvalidSpec: where the optimizer's state is too large to be kept.
        """
        study = Study.begin(created)
        live = cls(store, study_id, study, **options)  # what fails, fails before it is written
        live._snapshots.check()
        try:
            store.append(
                study_id, 1, [entry(created)], token=live.token, summary=live.published.summary()
            )
        except SequenceTaken:
            existing = cls.recover(store, study_id, **options)
            if existing.study.created.spec != created.spec:
                raise StudyExists(
                    f"a study {study_id!r} exists with another specification; "
                    "choose another id, or delete that study first",
                    field="study_id",
                ) from None
            return existing
        live._publish_all()
        return live

    @classmethod
    def recover(cls, store: Store, study_id: str, **options: Any) -> LiveStudy:
        """Continues a study from the store.

        Study and optimizer are loaded from the last snapshot, if there is one, and led forward
        through the events since. Each generation since is asked for again, and compared by
        checksum.

        Args:
            options: `ownership`, `device`, `equip` and `clock`, as of the constructor.

        Raises:
            NotFound: where there is no such study.
            NotOwner: where another process holds the study's lease.
            StoreCorrupt: where the journal cannot be read.
        """
        snapshot, study = _last_kept(store, study_id)
        live = cls(store, study_id, study, **options)
        if snapshot is not None:
            try:
                live.search.restore(snapshot.body)
                live._snapshots.generation = snapshot.generation
            except StoreCorrupt as error:
                log.warning("%s; the search is led forward from its beginning", error)
                live = cls(store, study_id, _beginning(store, study_id), **options)
        records = store.read(study_id, live.study.sequence)
        exact = live._replay([decode(record.body) for record in records])
        live._publish_all()
        if live.study.sequence > 1 and live.study.state.active:
            live._resume(exact)
        return live

    def _resume(self, exact: bool) -> None:
        """Journals that another process goes on, and bills what the one before left behind."""
        lost = left_behind(self.store, self.study_id, self.study.spent, self.token)
        study, events = self.study, list[Event]()
        lease = None if self.ownership is None else self.ownership.lease
        former = self.leases.restore(lease.held, study.generation) if lease and lease.held else ""
        # A study that only left the memory of this process has nothing to tell.
        if not (exact and lease and former == lease.owner):
            events.append(Resumed(study.generation, exact, self.search.warning(exact)))
        if lost != Accounting():
            events.append(StateChanged(study.state, study.stop_reason, study.message, lost))
        if events:
            self._append(events)
        self.conclude()

    @property
    def token(self) -> int | None:
        """The fencing token of its appends."""
        return None if self.ownership is None else self.ownership.token

    @property
    def memory_bytes(self) -> int:
        """About what it takes of the process's memory."""
        study = self.study
        opened = 0 if study.opened is None else study.opened.nbytes
        best = sum(t.best_latent.nbytes for t in study.targets if t.best_latent is not None)
        asked = 0 if self._open is None else self._open.latents.nbytes
        return self.search.state_bytes + study.activations.nbytes + opened + best + asked + 2**16

    def check_owned(self) -> None:
        """Raises where the study has, or may have, another owner.

        Raises:
            NotOwner: then.
        """
        if self.ownership is not None:
            self.ownership.check()

    # Searching

    def generation(self) -> Generation:
        """The open generation. Asking again gives the same one.

        Raises:
            StudyClosed: where every target is finished.
        """
        with self._locked():
            if self.study.exhausted:
                raise StudyClosed("every target of the study is finished; extend its budget first")
            if self._open is None:
                latents = self.search.ask(self.study)
                self._open = Generation(
                    self.study.generation, self.study.active, latents, self.study.rows
                )
                self._started = self._clock()
            return self._open

    def take(self, limit: int, seconds: float) -> tuple[Generation, list[tuple[int, int]], str]:
        """Candidates for a client to measure, held for it under a lease.

        The generation's latents are in the journal before the first candidate goes out.

        Args:
            limit: how many at most.
            seconds: how long they are held.

        Returns:
            The generation, (target, row) of each candidate, and the lease's id. No candidates
            where the study is paused or ended, or where others hold all that is left.
        """
        with self._locked():
            self._check_order()
            self.start()
            if self.study.state is not StudyState.RUNNING:
                return Generation(self.study.generation, (), torch.empty(0), 0), [], ""
            generation = self.generation()
            held = self.leases.held()
            free = [
                (generation.targets[place], row)
                for place, row in np.argwhere(~self.study.told).tolist()
                if (generation.targets[place], row) not in held
            ][:limit]
            if not free:
                return generation, [], ""
            if self.study.opened is None:
                latents = ArrayData.of(generation.latents.cpu().numpy())
                candidates = len(generation.targets) * generation.rows
                self._append([GenerationOpened(generation.index, latents, candidates)])
            return generation, free, self.leases.take(free, seconds)

    def tell(self, generation: int, targets: Array, rows: Array, activations: Array) -> TellResult:
        """Brings measurements of single candidates. Durable when it returns.

        Args:
            generation: of all the candidates.
            targets, rows: (N,) int, which candidates.
            activations: (N, U) float, nan where a measurement failed.

        Raises:
            StudyClosed, InvalidInput, ShapeMismatch: as `decisions.rows_told`.
            GradientUnavailable: where the optimizer needs gradients, which clients do not bring.
        """
        with self._locked():
            self._check_order()
            event, accepted = decisions.rows_told(
                self.study, generation, targets, rows, activations
            )
            if event is not None:
                self.start()
                self._record(event, None)
                self.leases.release(zip(targets.tolist(), rows.tolist(), strict=True))
            return TellResult(accepted, len(targets) - accepted)

    def tell_generation(
        self,
        generation: Generation,
        activations: NDArray[np.float32],
        gradients: torch.Tensor | None = None,
        spent: Accounting | None = None,
    ) -> bool:
        """Brings the measurements of a whole generation.

        Args:
            generation: as `generation` returned it.
            activations: (len(targets), rows, U), as the evaluator returned them. Rows that
                clients have told meanwhile keep the clients' values.
            gradients: (len(targets), rows, D), for an optimizer of order 1.
            spent: what was asked of the oracle for them.

        Returns:
            Whether there was news in it. If not, clients were faster, and nothing is written.

        Raises:
            StudyClosed: where the study has ended meanwhile.
        """
        with self._locked():
            if generation.index != self.study.generation and self.study.state.active:
                return False
            places, rows = np.nonzero(~self.study.told)
            targets = np.asarray(generation.targets)[places]
            event, _ = decisions.rows_told(
                self.study, generation.index, targets, rows, activations[places, rows]
            )
            if event is not None:
                self._record(msgspec.structs.replace(event, spent=spent), gradients)
            return event is not None

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
            self._open = None

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

    # Inside

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self._lock:
            if self.stale:
                raise Stale(
                    f"study {self.study_id!r} could not be written and is out of date here; "
                    "it has to be taken up again from the store"
                )
            yield

    def _check_order(self) -> None:
        if self.search.optimizer.order == 1:
            raise GradientUnavailable(
                f"study {self.study_id!r} climbs gradients, and clients that ask and tell bring "
                "none; its oracle evaluates it alone",
                field="name",
            )

    def _record(self, event: RowsTold, gradients: torch.Tensor | None) -> None:
        """Writes measurements; with the last row, the generation closes."""
        merged, told = self.study.merged(event)
        if not told.all():
            self._append([event])
            return
        generation = self.generation()
        closed = decisions.closed(
            self.study, merged, generation.latents.cpu().numpy(), self._clock() - self._started
        )
        try:
            self.search.learn(self.study, generation.latents, closed.scores.numpy(), gradients)
        except BaseException:
            self.stale = True  # the optimizer may know what the journal does not
            raise
        self._append([event, closed])
        self._open = None
        self.leases.clear()
        self.conclude()

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
            snapshot = self._snapshots.due(self.study.generation, self.study) if closed else None
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

    # Recovering

    def _replay(self, events: Sequence[Event]) -> bool:
        """Folds `events` in and leads the optimizer along. Returns whether it came along."""
        exact = True
        for event in events:
            if isinstance(event, GenerationClosed) and exact:
                exact = self.search.relearn(self.study, event)
            self.study.apply(event)
        return exact and self.search.owns_opened(self.study)


def _last_kept(store: Store, study_id: str) -> tuple[StoredSnapshot | None, Study]:
    """The last snapshot and its study; where there is none, the study as it began."""
    try:
        snapshot = store.load_snapshot(study_id)
        if snapshot is not None:
            return snapshot, folded.decode(snapshot.study)
    except StoreCorrupt as error:
        log.warning("%s; the search is led forward from its beginning", error)
    return None, _beginning(store, study_id)


def _beginning(store: Store, study_id: str) -> Study:
    return Study.fold(decode(record.body) for record in store.read(study_id, limit=1))
