"""A study that is going on: the state machine, its journal and its optimizer, joined.

Every change is written to the store first and folded in second. Where writing fails,
the object is stale and refuses everything: it is taken up again from the store.
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
from blackbox_am.core.types import Accounting, StopReason, StudyState
from blackbox_am.errors import SequenceTaken, StoreCorrupt, StudyClosed, StudyExists
from blackbox_am.studies import decisions
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
    encode,
)
from blackbox_am.studies.leases import NOBODY, Holder, LeaseBook
from blackbox_am.studies.search import Search
from blackbox_am.studies.snapshots import Snapshots
from blackbox_am.studies.stale import Stale
from blackbox_am.studies.study import Study

Array = NDArray[Any]

log = logging.getLogger(__name__)


class LiveStudy:
    """One study in one process. Safe to call from any thread.

    Attributes:
        study_id: its id in the store.
        study: its state, for reading.
        search: its optimizer at work.
        leases: who is measuring what.
        on_change: called after every append, on the thread that appended.
        overtaken: whether it is out of date because another process was faster.
    """

    def __init__(
        self,
        store: Store,
        study_id: str,
        study: Study,
        *,
        device: torch.device | str = "cpu",
        equip: Equip = nothing,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.store = store
        self.study_id = study_id
        self.study = study
        self.search = Search(study, torch.device(device), equip)
        self.leases = LeaseBook(clock)
        self.on_change: Callable[[], None] = lambda: None
        self.overtaken = False
        self._clock = clock
        self._lock = threading.RLock()
        self._stale = False
        self._started = clock()
        self._snapshots = Snapshots(self.search, clock)
        self._open: Generation | None = None

    # Beginning

    @classmethod
    def create(cls, store: Store, study_id: str, created: Created, **options: Any) -> LiveStudy:
        """Begins a study, or returns the one of that id where it began alike.

        Args:
            options: `device`, `equip` and `clock`, as of the constructor.

        Raises:
            StudyExists: where a study of that id began with another specification.
        """
        study = Study.begin(created)
        live = cls(store, study_id, study, **options)  # what fails, fails before it is written
        try:
            store.append(study_id, 1, [encode(created)])
        except SequenceTaken:
            existing = cls.recover(store, study_id, **options)
            if existing.study.created.spec != created.spec:
                raise StudyExists(
                    f"a study {study_id!r} exists with another specification; "
                    "choose another id, or delete that study first",
                    field="study_id",
                ) from None
            return existing
        return live

    @classmethod
    def recover(
        cls, store: Store, study_id: str, *, catching_up: bool = False, **options: Any
    ) -> LiveStudy:
        """Takes a study up again from its journal.

        The optimizer's state is loaded from the last snapshot, if it makes any, and led forward
        through the generations since, each asked again and compared by checksum.

        Args:
            catching_up: another process was faster, and is at work. Nothing is written then
                that would overtake it in turn, or neither would ever close a generation.
            options: `device`, `equip` and `clock`, as of the constructor.

        Raises:
            NotFound: where there is no such study.
            StoreCorrupt: where the journal cannot be read.
        """
        records = store.read(study_id)
        events = [decode(record.body) for record in records]
        study = Study.fold(events[:1])
        live = cls(store, study_id, study, **options)
        try:
            snapshot = store.load_snapshot(study_id)
        except StoreCorrupt as error:
            log.warning("%s; the search is led forward from its beginning", error)
            snapshot = None
        exact = live._replay(events[1:], snapshot)
        if study.sequence > 1 and study.state.active:
            if not (catching_up and exact):
                live._append([Resumed(study.generation, exact, live.search.warning(exact))])
            if not catching_up:  # what the other process asked, it tells itself
                lost = left_behind(store, study_id, study.spent)
                if lost != Accounting():
                    live.bill(lost)
            live.conclude()
        return live

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

    def take(
        self, limit: int, seconds: float, holder: Holder = NOBODY
    ) -> tuple[Generation, list[tuple[int, int]], str]:
        """Candidates for a client to measure, under a lease; their latents are journalled first.

        Args:
            limit: how many at most.
            seconds: how long they are held.
            holder: for whom. What an earlier run of the same client holds is free at once.

        Returns:
            The generation, (target, row) of each candidate (maybe none), and the lease's id.
        """
        with self._locked():
            self.start()
            if self.study.state is not StudyState.RUNNING:
                return Generation(self.study.generation, (), torch.empty(0), 0), [], ""
            generation = self.generation()
            self.leases.let_go_of_earlier(holder)
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
                self._append([GenerationOpened(generation.index, latents)])
            return generation, free, self.leases.take(free, seconds, holder)

    def tell(self, generation: int, targets: Array, rows: Array, activations: Array) -> TellResult:
        """Brings measurements of single candidates. Durable when it returns.

        Args:
            generation: of all the candidates.
            targets, rows: (N,) int, which candidates.
            activations: (N, U) float, nan where a measurement failed.

        Raises:
            StudyClosed, InvalidInput, ShapeMismatch: as `decisions.rows_told`.
        """
        with self._locked():
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
        """Pauses because the oracle is gone, or its quota used up; `message` says which."""
        with self._locked():
            if self.study.state.active:
                self._append([StateChanged(StudyState.PAUSED, reason, message)])

    def note(self, message: str) -> None:
        """Says what a running study waits for, or no more; it stays as it is."""
        with self._locked():
            if self.study.state is StudyState.RUNNING and self.study.message != message:
                self._append([StateChanged(StudyState.RUNNING, self.study.stop_reason, message)])

    def bill(self, spent: Accounting) -> None:
        """Adds what was asked of the oracle in vain. The study stays as it is."""
        with self._locked():
            study = self.study
            self._append([StateChanged(study.state, study.stop_reason, study.message, spent)])

    def resume(self) -> None:
        """Sets a paused or failed study going."""
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

    @property
    def stale(self) -> bool:
        """Whether it refuses everything, and has to be taken up again from the store."""
        with self._lock:
            return self._stale

    @contextmanager
    def reading(self) -> Iterator[Study]:
        """The study's state, held still while it is looked at."""
        with self._locked():
            yield self.study

    def retire(self) -> None:
        """Refuses everything from now on: the study is deleted, or taken up elsewhere."""
        with self._lock:
            self._stale = True

    # Inside

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self._lock:
            if self._stale:
                raise Stale(
                    f"study {self.study_id!r} could not be written and is out of date here; "
                    "it has to be taken up again from the store"
                )
            yield

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
            self.search.learn(self.study, generation.latents, self.study.scores(merged), gradients)
            snapshot = self._snapshots.due(generation.index + 1, self.study.sequence + 2)
        except BaseException:
            self._stale = True  # the optimizer may know what the journal does not
            raise
        self._append([event, closed], snapshot)
        self._open = None
        self.leases.clear()
        self.conclude()

    def _append_if(self, event: Event | None) -> None:
        if event is not None:
            self._append([event])

    def _append(self, events: Sequence[Event], snapshot: StoredSnapshot | None = None) -> None:
        try:
            self.store.append(
                self.study_id,
                self.study.sequence + 1,
                [encode(event) for event in events],
                snapshot,
            )
        except BaseException as error:
            self._stale = True
            self.overtaken = isinstance(error, SequenceTaken)
            raise
        for event in events:
            self.study.apply(event)
        self.on_change()

    # Recovering

    def _replay(self, events: Sequence[Event], snapshot: StoredSnapshot | None) -> bool:
        """Folds `events` in, leading the optimizer along. Returns whether it came along."""
        start = 1
        if snapshot is not None:
            self.search.restore(snapshot.body)
            self._snapshots.generation = snapshot.generation
            start = snapshot.sequence
        exact = True
        for event in events:
            if isinstance(event, GenerationClosed) and self.study.sequence >= start and exact:
                exact = self.search.relearn(self.study, event)
            self.study.apply(event)
        return exact and self.search.owns_opened(self.study)
