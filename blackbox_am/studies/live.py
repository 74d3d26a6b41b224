"""A live study, which joins the state machine, its journal and its optimizer."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from blackbox_am.core.accounts import Order
from blackbox_am.core.observation import NOT_RENDERED
from blackbox_am.core.store import Store
from blackbox_am.core.types import Accounting, StudyState
from blackbox_am.errors import (
    GradientUnavailable,
    SequenceTaken,
    StoreCorrupt,
)
from blackbox_am.evaluation import Examiner
from blackbox_am.studies import decisions
from blackbox_am.studies.asked import left_behind
from blackbox_am.studies.candidates import Generation, TellResult
from blackbox_am.studies.decisions import ToldRows
from blackbox_am.studies.equipment import FindGenerator, no_generator
from blackbox_am.studies.events import (
    BaselineMeasured,
    Created,
    Event,
    GenerationClosed,
    OracleProbed,
    Resumed,
    StateChanged,
    decode,
)
from blackbox_am.studies.examined import Examined
from blackbox_am.studies.leases import NOBODY, Holder
from blackbox_am.studies.reopening import check_spec
from blackbox_am.studies.searched import SearchedStudy
from blackbox_am.studies.snapshots import beginning, check_reached, last_kept
from blackbox_am.studies.study import Study
from blackbox_am.studies.successes import missing

Array = NDArray[Any]

log = logging.getLogger(__name__)


class LiveStudy(SearchedStudy):
    """One study in the process that owns it, also for clients. Safe to call from any thread."""

    def __init__(
        self,
        store: Store,
        study_id: str,
        study: Study,
        *,
        generator_of: FindGenerator = no_generator,
        **options: Any,
    ) -> None:
        super().__init__(store, study_id, study, **options)
        generator = generator_of(study.spec)
        layouts = [target.layout for target in study.targets]
        self._examiner = None if generator is None else Examiner(generator, layouts)
        self._examined: tuple[Generation, Examined] | None = None

    # Beginning

    @classmethod
    def create(
        cls,
        store: Store,
        study_id: str,
        created: Created,
        order: Order | None = None,
        *,
        keep_inputs: bool = False,
        **options: Any,
    ) -> LiveStudy:
        """Begins a study, or returns the existing study of this id if its specification is equal.

        Args:
            store, study_id: where the study is kept.
            created: its first event.
            order: to whom a new study belongs; None for nobody.
            keep_inputs: whether the store has the inputs of the study, and is to keep them as long
                as the study.
            options: `ownership`, `device`, `equip`, `generator_of`, `clock`; see the constructor.

        Raises:
            StudyExists: if a study of this id began with another specification.
            NotOwner: if another process holds the study's lease.
            InvalidSpec: if the optimizer's state is too large for a snapshot.
            NotFound: if the store lacks an input that it is to keep.
            QuotaExceeded: if the account of `order` has too little left.
        """
        study = Study.begin(created)
        live = cls(store, study_id, study, **options)  # errors occur before the study is written
        live._snapshots.check()
        try:
            live._begin(created, order, keep_inputs=keep_inputs)
        except SequenceTaken:
            existing = cls.recover(store, study_id, **options)
            if check_spec(study_id, existing.study, created.spec):
                existing.extend(created.spec.budget)
            return existing
        live._publish_all()
        return live

    @classmethod
    def recover(cls, store: Store, study_id: str, **options: Any) -> LiveStudy:
        """Continues a study from the store.

        Study and optimizer are loaded from the last snapshot, if any, and updated by later events.
        The optimizer proposes each later generation again; checksums are compared.

        Args:
            options: `ownership`, `device`, `equip`, `generator_of`, `clock`; see the constructor.

        Raises:
            NotFound: if the study does not exist.
            NotOwner: if another process holds the study's lease.
            StoreCorrupt: if the journal cannot be read, or has lost its last events.
        """
        check_reached(store, study_id, store.find(study_id).sequence, "its index entry")
        snapshot, study = last_kept(store, study_id)
        live = cls(store, study_id, study, **options)
        if snapshot is not None:
            try:
                live.search.restore(snapshot.body)
                live._snapshots.generation = snapshot.generation
            except StoreCorrupt as error:
                log.warning("%s; the search is led forward from its beginning", error)
                live = cls(store, study_id, beginning(store, study_id), **options)
        records = store.read(study_id, live.study.sequence)
        exact = live._replay([decode(record.body) for record in records])
        live._publish_all()
        if live.study.sequence > 1 and live.study.state.active:
            live._resume(exact)
        return live

    def _resume(self, exact: bool) -> None:
        """Journals the change of process, and bills the former process's unbilled calls."""
        lost = left_behind(self.store, self.study_id, self.study.spent, self.token)
        study, events = self.study, list[Event]()
        lease = None if self.ownership is None else self.ownership.lease
        former = self.leases.restore(lease.held, study.generation) if lease and lease.held else ""
        # A study that was only removed from the memory of this process needs no event.
        if not (exact and lease and former == lease.owner):
            resumed = Resumed(study.generation, exact, self.search.warning(exact))
            if not exact and study.opened is None:  # they are measured again
                lost += study.measured.spent.repeated()
            events.append(resumed)
        if lost != Accounting():
            events.append(StateChanged(study.state, study.stop_reason, study.message, lost))
        if events:
            self._append(events)
        self.conclude()

    def settle(self, event: OracleProbed | BaselineMeasured) -> None:
        """Journals the result of a measurement before the search, and applies it.

        If the study has ended meanwhile, only the accounts are journalled.
        """
        with self._locked():
            if self.study.state is not StudyState.RUNNING or not self.study.untouched:
                self.bill(event.spent)
                return
            self._append([event])
            self._open = None
            self._take_optimizer()

    def _replay(self, events: Sequence[Event]) -> bool:
        """Folds `events` into the study. Returns whether the optimizer could follow them."""
        exact = True
        for event in events:
            if isinstance(event, GenerationClosed) and exact:
                exact = self.search.relearn(self.study, event)
            self.study.apply(event)
            if isinstance(event, (OracleProbed, BaselineMeasured)):  # they change its beginning
                self._take_optimizer()
        return exact and self.search.owns_opened(self.study)

    # Clients

    def take(
        self, limit: int, seconds: float, holder: Holder = NOBODY, *, stimuli: bool = False
    ) -> tuple[Generation, list[tuple[int, int]], str]:
        """Candidates for a client to measure, under a lease; their latents are journalled first.

        Args:
            limit: largest number of candidates.
            seconds: duration of the lease.
            holder: the client. Candidates of an earlier run of the same client become free at once.
            stimuli: whether `rendered` is called for the candidates.

        Returns:
            The generation, (target, row) of each candidate (possibly none), and the lease's id.
        """
        with self._locked():
            self._check_order()
            self.start()
            while self.study.state is StudyState.RUNNING and not self.study.exhausted:
                generation = self.generation()
                self.leases.let_go_of_earlier(holder)
                free = self._free(generation)[:limit]
                if not free:
                    return generation, [], ""
                self._journal_opened(generation)
                if not self._rejected(generation, free, stimuli=stimuli):
                    return generation, free, self.leases.take(free, seconds, holder)
            nothing_wanted = np.zeros((0, self.study.rows), bool)
            return Generation(self.study.generation, (), torch.empty(0), nothing_wanted), [], ""

    def rendered(
        self, generation: Generation, keys: Sequence[tuple[int, int]]
    ) -> NDArray[np.float32] | None:
        """(N, *stimulus) the stimuli of candidates, once, if `take` has just rendered all of them;
        else None.
        """
        with self._locked():
            if self._examined is None or self._examined[0] is not generation:
                return None
            targets, rows = np.array(keys, np.int64).reshape(-1, 2).T
            places = np.searchsorted(np.asarray(generation.targets, np.int64), targets)
            return self._examined[1].stimuli(places, rows)

    def _free(self, generation: Generation) -> list[tuple[int, int]]:
        """(target, row) of the candidates that are neither measured nor leased."""
        held = self.leases.held()
        free = np.argwhere(missing(self.study, generation.wanted)).tolist()
        keys = [(generation.targets[place], row) for place, row in free]
        return [key for key in keys if key not in held]

    def _journal_opened(self, generation: Generation) -> None:
        if self.study.opened is None:
            self._append([self._opening(generation)])
        if not self._taken:  # the time between two generations is not a part of the search
            self._taken, self._started = True, self._clock()

    def _rejected(
        self, generation: Generation, keys: list[tuple[int, int]], *, stimuli: bool
    ) -> bool:
        """Whether some stimuli are not finite. Their candidates are recorded as failed."""
        examined = self._examined_now(generation)
        if examined is None:
            return False
        wanted = np.zeros_like(generation.wanted)
        wanted[self.study.places(np.array([t for t, _ in keys])), [row for _, row in keys]] = True
        told = examined.unrendered(wanted, stimuli=stimuli)
        if told is None:
            return False
        before = self.study.search_rows, self.study.failed.get(NOT_RENDERED, 0)
        event, _ = decisions.rows_told(self.study, told, generation.wanted)
        assert event is not None  # these candidates have no measurement yet
        self._record(event)
        rows = self.study.search_rows - before[0]
        if rows and self.study.failed.get(NOT_RENDERED, 0) - before[1] == rows:
            self.fail(
                f"none of the {rows} stimuli of generation {generation.index} is finite; check the "
                "generator"
            )
        return True

    def _examined_now(self, generation: Generation) -> Examined | None:
        """The examination of the open generation's stimuli; None without a generator."""
        if self._examiner is None:
            return None
        if self._examined is None or self._examined[0] is not generation:
            examined = Examined(self._examiner, generation, self.study.quantities)
            self._examined = generation, examined
        return self._examined[1]

    def tell(self, generation: int, targets: Array, rows: Array, activations: Array) -> TellResult:
        """Adds measurements of single candidates. They are durable when the method returns.

        Args:
            generation: of all the candidates.
            targets, rows: (N,) int, the places of the candidates.
            activations: (N, units) float, each row's own units in the order of its target's
                layout; nan if a measurement failed.

        Raises:
            StudyClosed, InvalidInput, ShapeMismatch: as `decisions.rows_told`, and for infinities.
            GradientUnavailable: if the optimizer needs gradients, which clients cannot send.
        """
        with self._locked():
            self._check_order()
            values = decisions.clients_values(self.study, targets, activations)
            told = self._with_measures(ToldRows(generation, targets, rows, values))
            event, accepted = decisions.rows_told(self.study, told, self._wanted())
            if event is not None:
                self.start()
                self._record(event)
                self.leases.release(zip(targets.tolist(), rows.tolist(), strict=True))
            return TellResult(accepted, len(targets) - accepted)

    def _with_measures(self, told: ToldRows) -> ToldRows:
        """A client's measurements, with the measures of the stimuli."""
        study = self.study
        measures = any(target.layout.measures for target in study.targets)
        if not measures or told.generation != study.generation or study.exhausted:
            return told
        examined = self._examined_now(self.generation())
        assert examined is not None  # a study without a generator has no measures
        return examined.complete(study, told)

    def _check_order(self) -> None:
        if self.search.optimizer.order == 1:
            raise GradientUnavailable(
                f"study {self.study_id!r} climbs gradients, and clients that ask and tell bring "
                "none; its oracle evaluates it alone",
                field="name",
            )
