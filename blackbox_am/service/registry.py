"""The studies of this process: at most one live object for each, loaded when needed."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from blackbox_am.core.accounts import Order
from blackbox_am.core.space import build_space
from blackbox_am.core.store import Store
from blackbox_am.core.types import Best
from blackbox_am.errors import NotFound, NotOwner, SequenceTaken, StoreCorrupt
from blackbox_am.plugins import build_optimizer
from blackbox_am.studies import reports
from blackbox_am.studies.equipment import Equip, FindGenerator, no_generator, nothing
from blackbox_am.studies.events import Created
from blackbox_am.studies.journalled import Stale
from blackbox_am.studies.live import LiveStudy
from blackbox_am.studies.ownership import Owner
from blackbox_am.studies.published import Published
from blackbox_am.studies.study import Study

T = TypeVar("T")

log = logging.getLogger(__name__)

ATTEMPTS = 5
"""Number of attempts of an action if another process changes the study in the meantime."""
CREATE_SECONDS = 5.0
"""Seconds that a create request waits for another process that creates the same study."""
IDLE_SECONDS = 60.0
"""Seconds after which an unused study is removed from memory."""
IDLE_BYTES = 2**25
"""Bytes of memory for unused studies; the least recently used are removed first."""


@dataclass
class _Resident:
    """A live study in memory, and the time of its last use."""

    live: LiveStudy
    used: float
    memory_bytes: int = 0
    needed_bytes: int = 0


class StudyRegistry:
    """Finds studies by id. Safe to use from any thread.

    Readers use the published view: that of a live study in memory, or that in the store's index. A
    study is live in the process that owns it, while a worker evaluates it or clients ask and tell.
    It is removed from memory after its end or after a time without use: recovery is exact, so
    nothing is lost.

    Attributes:
        store: the store of the studies.
        owner: holds the leases.
        device: device of the optimizers.
        equip: gives optimizers the models that they need.
        generator_of: finds the generators of studies.
        on_change: called with a study's id after each of its changes.
        room: holds memory, given in bytes and in words, before a study is recovered; by default as
            much as is asked for.
    """

    def __init__(
        self,
        store: Store,
        device: str,
        equip: Equip = nothing,
        owner: Owner | None = None,
        generator_of: FindGenerator = no_generator,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.store = store
        self.device = device
        self.equip = equip
        self.owner = owner or Owner(store)
        self.generator_of = generator_of
        self.on_change: Callable[[str], None] = lambda study_id: None
        self.room: Callable[[int, str], AbstractContextManager[None]] = lambda *_: nullcontext()
        self._clock = clock
        self._lock = threading.Lock()
        self._live: OrderedDict[str, _Resident] = OrderedDict()
        self._running: set[str] = set()
        self._of_study: WeakValueDictionary[str, threading.RLock] = WeakValueDictionary()

    # Reading

    def published(self, study_id: str) -> Published:
        """The published view of a study. Never waits for a lock.

        Raises:
            NotFound: if the study does not exist.
            StoreCorrupt: if it cannot be read.
        """
        live = self._current(study_id)
        return Published.read(self.store.find(study_id)) if live is None else live.published

    def best(self, study_id: str) -> tuple[Best, ...]:
        """The best candidate of each target that has one. Never waits for a lock.

        Raises:
            NotFound: if the study does not exist.
            StoreCorrupt: if it cannot be read.
        """
        live = self._current(study_id)
        if live is not None:
            return live.best
        return tuple(reports.best(study_id, self.load(study_id)))

    def load(self, study_id: str) -> Study:
        """A copy of the study's state from the store.

        Raises:
            NotFound: if the study does not exist.
            StoreCorrupt: if it cannot be read.
        """
        return reports.load(self.store, study_id)

    def memory_bytes(self) -> int:
        """The most memory that the studies in memory need, in bytes."""
        with self._lock:
            return sum(resident.needed_bytes for resident in self._live.values())

    # Changing

    def create(self, study_id: str, created: Created, order: Order | None = None) -> bool:
        """Create a study, unless a study of this id exists.

        Args:
            study_id: the study.
            created: its first event.
            order: to whom it belongs, and what it takes from the account; None for nobody.

        Returns:
            Whether this call has created the study; otherwise a study of this id exists.

        Raises:
            NotOwner: if another process is creating the study and does not finish.
            QuotaExceeded: if the account has too little left.
        """
        deadline = self._clock() + CREATE_SECONDS
        while True:
            with self._holding(study_id):
                try:
                    self.published(study_id)
                except NotFound:
                    with suppress(NotOwner, SequenceTaken):
                        self._begin(study_id, created, order)
                        return True
                else:
                    return False
            if self._clock() > deadline:
                raise NotOwner(
                    f"study {study_id!r} is being created by "
                    f"{self.store.leases.owner_name(study_id)}; try again"
                )
            time.sleep(0.05)

    def act(self, study_id: str, action: Callable[[LiveStudy], T]) -> T:
        """Apply `action` to the live study, and repeat it if another process changed the study
        meanwhile.

        Raises:
            NotFound: if the study does not exist.
            NotOwner: if another process owns it.
            SequenceTaken, Stale: if every attempt failed for this reason.
        """
        for _ in range(ATTEMPTS - 1):
            with suppress(SequenceTaken, Stale):
                return self._acted(study_id, action)
        return self._acted(study_id, action)

    def live(self, study_id: str) -> LiveStudy:
        """The live study; it is recovered from the store if it is not in memory.

        Raises:
            NotFound: if the study does not exist.
            NotOwner: if another process owns it.
            QuotaExceeded: if there is no room for it in memory now.
        """
        with self._holding(study_id):
            live = self._current(study_id)
            if live is None:
                self.store.find(study_id)  # a lease on a study that does not exist is useless
                with self._with_room(study_id):
                    live = self._owned(study_id, LiveStudy.recover)
                    self._keep(live)
            self._touch(study_id)
            return live

    @contextmanager
    def running(self, study_id: str) -> Iterator[None]:
        """Hold a study in memory while a worker evaluates it, and release it afterwards."""
        with self._lock:
            self._running.add(study_id)
        try:
            yield
        finally:
            with self._lock:
                self._running.discard(study_id)
            self.rest(study_id)

    def rest(self, study_id: str, *, wait: bool = True) -> None:
        """Remove a study from memory and release its lease, unless a worker runs it.

        Args:
            study_id: the study.
            wait: whether to wait for running actions on the study; otherwise the study stays if
                there are any.
        """
        with self._holding(study_id, wait=wait) as held:
            with self._lock:
                resident = self._live.get(study_id)
                if not held or resident is None or study_id in self._running:
                    return
            handed = resident.live.retire(wait=wait)
            if handed is None:
                return
            with self._lock:
                del self._live[study_id]
            if resident.live.ownership is not None:
                self.owner.release(resident.live.ownership, handed)

    def rest_idle(self) -> None:
        """Remove studies from memory that were not used for a while, or that exceed the limit."""
        now, kept = self._clock(), 0
        with self._lock:
            residents = [(i, r) for i, r in self._live.items() if i not in self._running]
        for study_id, resident in reversed(residents):  # the most recently used first
            kept += resident.memory_bytes
            if kept > IDLE_BYTES or now - resident.used > IDLE_SECONDS:
                self.rest(study_id, wait=False)

    def rest_unused(self) -> None:
        """Remove every study from memory that no worker runs and no call uses now."""
        with self._lock:
            unused = [study_id for study_id in self._live if study_id not in self._running]
        for study_id in unused:
            self.rest(study_id, wait=False)

    def delete(self, study_id: str) -> None:
        """Delete a study here and in the store.

        Raises:
            NotFound: if the study does not exist.
            NotOwner: if another process owns it.
        """
        with self._holding(study_id):
            with suppress(StoreCorrupt):  # a damaged study can be deleted
                self.store.find(study_id)
            ownership = self.owner.take(study_id)
            with self._lock:
                resident = self._live.pop(study_id, None)
            if resident is not None:
                resident.live.retire()
            self.store.delete(study_id)
            self.owner.release(ownership)
        self.on_change(study_id)

    def close(self) -> None:
        """Remove all studies from memory and release their leases."""
        with self._lock:
            study_ids = [i for i in self._live if i not in self._running]
        for study_id in study_ids:
            self.rest(study_id)
        self.owner.close()

    # Internal

    @contextmanager
    def _holding(self, study_id: str, *, wait: bool = True) -> Iterator[bool]:
        """The lock for loading and releasing a study. Yields whether the lock is held."""
        with self._lock:
            lock = self._of_study.setdefault(study_id, threading.RLock())
        held = lock.acquire(blocking=wait)
        try:
            yield held
        finally:
            if held:
                lock.release()

    @contextmanager
    def _with_room(self, study_id: str) -> Iterator[None]:
        """Holds the memory that a study will need, until the study is counted itself.

        Raises:
            QuotaExceeded: if there is too little.
        """
        with self._lock:
            known = study_id in self._live  # it has its room, and is only out of date
        with self.room(0 if known else self._needed(study_id), f"study {study_id!r}"):
            yield

    def _needed(self, study_id: str) -> int:
        """The most memory that a study will need, in bytes; 0 if it has ended."""
        published = self.published(study_id)
        if not published.progress.state.active:
            return 0
        created = published.created
        optimizer = self.equip(
            build_optimizer(created.optimizer or created.spec.optimizer), created.spec
        )
        return optimizer.memory_bytes(build_space(created.space), len(created.spec.targets))

    def _begin(self, study_id: str, created: Created, order: Order | None) -> None:
        live = self._owned(study_id, _new, created, order)
        self._keep(live)
        if created.spec.oracle is not None:
            self.rest(study_id)  # any process with a free worker can take the study

    def _owned(
        self, study_id: str, begin: Callable[..., LiveStudy], *arguments: object
    ) -> LiveStudy:
        """The live study that `begin` returns, under a lease of this process."""
        ownership = self.owner.take(study_id)
        try:
            return begin(
                self.store,
                study_id,
                *arguments,
                ownership=ownership,
                device=self.device,
                equip=self.equip,
                generator_of=self.generator_of,
            )
        except BaseException:
            self.owner.release(ownership)
            raise

    def _acted(self, study_id: str, action: Callable[[LiveStudy], T]) -> T:
        live = self.live(study_id)
        try:
            return action(live)
        finally:
            # A study that waits for a worker, or that has ended, does not stay in memory for the
            # next caller.
            progress, oracle = live.published.progress, live.published.created.spec.oracle
            if not progress.state.active or oracle is not None:
                self.rest(study_id)

    def _current(self, study_id: str) -> LiveStudy | None:
        with self._lock:
            resident = self._live.get(study_id)
        return None if resident is None or resident.live.stale else resident.live

    def _keep(self, live: LiveStudy) -> None:
        study_id = live.study_id
        live.on_change = lambda: self.on_change(study_id)
        with self._lock:
            self._live[study_id] = _Resident(live, self._clock())
        self._touch(study_id)
        self.on_change(study_id)

    def _touch(self, study_id: str) -> None:
        with self._lock:
            resident = self._live.get(study_id)
            if resident is not None:
                resident.used = self._clock()
                resident.memory_bytes = resident.live.memory_bytes
                resident.needed_bytes = resident.live.needed_bytes
                self._live.move_to_end(study_id)


def _new(
    store: Store, study_id: str, created: Created, order: Order | None, **options: Any
) -> LiveStudy:
    """A new study, under a lease: no other process can create the study meanwhile.

    Raises:
        SequenceTaken: if the study was created before the lease was taken.
    """
    with suppress(NotFound):
        store.find(study_id)
        raise SequenceTaken(f"study {study_id!r} was created meanwhile; read it")
    return LiveStudy.create(store, study_id, created, order, keep_inputs=True, **options)
