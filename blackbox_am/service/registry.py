"""The studies of this process: at most one live object for each, taken up when needed."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import TypeVar
from weakref import WeakValueDictionary

from blackbox_am.core.store import Store
from blackbox_am.errors import NotFound, SequenceTaken, StudyExists
from blackbox_am.studies.equipment import Equip, nothing
from blackbox_am.studies.events import Created, decode
from blackbox_am.studies.live import LiveStudy
from blackbox_am.studies.stale import Stale
from blackbox_am.studies.study import Study

T = TypeVar("T")

ATTEMPTS = 5
"""How often an action is tried where other processes write to the same study."""
FOLDS = 256
"""Studies that are kept in memory for reading alone."""


@dataclass
class _Fold:
    """A study as its journal tells it, and when it was created."""

    study: Study
    created_at: float


class StudyRegistry:
    """Finds studies by id. Safe to use from any thread.

    A study that is searched, or evaluated by clients, is live: its optimizer is in memory.
    Once it has ended it is let go, and read from the journal like any other.

    Attributes:
        store: where the journals are.
        device: where optimizers compute.
        equip: gives optimizers the models that they need.
        on_change: called with a study's id after each of its changes.
    """

    def __init__(self, store: Store, device: str, equip: Equip = nothing) -> None:
        self.store = store
        self.device = device
        self.equip = equip
        self.on_change: Callable[[str], None] = lambda study_id: None
        self._lock = threading.Lock()
        self._live: dict[str, LiveStudy] = {}
        self._overtaken: set[str] = set()
        self._folds: OrderedDict[str, _Fold] = OrderedDict()
        self._of_study: WeakValueDictionary[str, threading.RLock] = WeakValueDictionary()

    def create(self, study_id: str, created: Created) -> None:
        """Begins a study, unless it began alike before.

        Raises:
            StudyExists: where a study of that id began with another specification.
        """
        with self._holding(study_id):
            existing = self._existing(study_id)
            if existing is None:
                live = LiveStudy.create(
                    self.store, study_id, created, device=self.device, equip=self.equip
                )
                self._keep(live)
            elif existing.created.spec != created.spec:
                raise StudyExists(
                    f"a study {study_id!r} exists with another specification; choose another id, "
                    "or delete that study first",
                    field="study_id",
                )
        self.on_change(study_id)

    def act(self, study_id: str, action: Callable[[LiveStudy], T]) -> T:
        """`action` on the live study, again where another process was faster.

        Raises:
            NotFound: where there is no such study.
            SequenceTaken, Stale: where others were faster every time.
        """
        for _ in range(ATTEMPTS - 1):
            with suppress(SequenceTaken, Stale):
                return action(self.live(study_id))
        return action(self.live(study_id))

    def live(self, study_id: str) -> LiveStudy:
        """The live study, taken up from its journal where it is not.

        Raises:
            NotFound: where there is no such study.
        """
        with self._holding(study_id):
            live = self._current(study_id)
            if live is None:
                with self._lock:
                    overtaken = study_id in self._overtaken
                live = LiveStudy.recover(
                    self.store,
                    study_id,
                    catching_up=overtaken,
                    device=self.device,
                    equip=self.equip,
                )
                self._keep(live)
            return live

    @contextmanager
    def reading(self, study_id: str) -> Iterator[Study]:
        """The study's state, held still while it is looked at.

        Raises:
            NotFound: where there is no such study.
        """
        with ExitStack() as stack:
            yield self._held_still(study_id, stack)

    def created_at(self, study_id: str) -> float:
        """When the study began, in seconds since the epoch.

        Raises:
            NotFound: where there is no such study.
        """
        with self._lock:
            fold = self._folds.get(study_id)
        if fold is not None:
            return fold.created_at
        return self.store.read(study_id, limit=1)[0].time

    def delete(self, study_id: str) -> None:
        """Forgets a study here and in the store.

        Raises:
            NotFound: where there is no such study.
        """
        with self._holding(study_id):
            with self._lock:
                live = self._live.pop(study_id, None)
                self._folds.pop(study_id, None)
                self._overtaken.discard(study_id)
            if live is not None:
                live.retire()
            self.store.delete(study_id)
        self.on_change(study_id)

    @contextmanager
    def _holding(self, study_id: str) -> Iterator[None]:
        with self._lock:
            lock = self._of_study.setdefault(study_id, threading.RLock())
        with lock:
            yield

    def _current(self, study_id: str) -> LiveStudy | None:
        with self._lock:
            live = self._live.get(study_id)
        # Not under our lock: it waits for the study's, whose holder may wait for ours.
        if live is not None and live.stale:
            with self._lock:
                if self._live.get(study_id) is live:
                    del self._live[study_id]
                if live.overtaken:
                    self._overtaken.add(study_id)
            return None
        return live

    def _held_still(self, study_id: str, stack: ExitStack) -> Study:
        live = self._current(study_id)
        if live is not None:
            with suppress(Stale):  # it went stale just now: read the journal instead
                return stack.enter_context(live.reading())
        stack.enter_context(self._holding(study_id))
        return self._fold(study_id).study

    def _existing(self, study_id: str) -> Study | None:
        live = self._current(study_id)
        try:
            return self._fold(study_id).study if live is None else live.study
        except NotFound:
            return None

    def _keep(self, live: LiveStudy) -> None:
        def changed() -> None:
            with self._lock:
                if not live.study.state.active and self._live.get(live.study_id) is live:
                    del self._live[live.study_id]
            self.on_change(live.study_id)

        live.on_change = changed
        with self._lock:
            self._live[live.study_id] = live
            self._overtaken.discard(live.study_id)
            self._folds.pop(live.study_id, None)
        self.on_change(live.study_id)

    def _fold(self, study_id: str) -> _Fold:
        """The study folded from its journal, and brought up to date. Under its lock."""
        with self._lock:
            fold = self._folds.get(study_id)
        after = 0 if fold is None else fold.study.sequence
        records = self.store.read(study_id, after)
        if fold is None:
            study = Study.fold(decode(record.body) for record in records)
            fold = _Fold(study, records[0].time)
        else:
            for record in records:
                fold.study.apply(decode(record.body))
        with self._lock:
            self._folds[study_id] = fold
            self._folds.move_to_end(study_id)
            while len(self._folds) > FOLDS:
                self._folds.popitem(last=False)
        return fold
