"""Objects that the servicers share: store, catalogue, live studies, workers, threads."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from enum import Enum
from functools import partial
from typing import TypeVar

import msgspec

from blackbox_am.catalogue import Images
from blackbox_am.core.abandoning import abandonable
from blackbox_am.core.devices import resolve_device
from blackbox_am.core.generator import Generator
from blackbox_am.core.oracle import Oracle
from blackbox_am.core.spec import StudySpec
from blackbox_am.core.tally import Tally
from blackbox_am.errors import InvalidInput, QuotaExceeded, ServerUnavailable
from blackbox_am.oracles.wrappers.delivery._limited import Limited, limited
from blackbox_am.service.auth.authority import Authority
from blackbox_am.service.changes import Changes
from blackbox_am.service.config import Config
from blackbox_am.service.memory import MemoryBudget, default_limit
from blackbox_am.service.peers import Handler, Peers
from blackbox_am.service.registry import StudyRegistry
from blackbox_am.service.workers import Workers
from blackbox_am.stores import SQLStore
from blackbox_am.studies import equipment
from blackbox_am.studies.inputs import baseline_images, study_generator
from blackbox_am.studies.ownership import Owner, process_name

T = TypeVar("T")


class Pool(Enum):
    """Threads for one kind of call. The value is their name; `THREADS` has their number."""

    READS = "read"
    """Calls that read published data. They do not wait for a study, a model or a network."""
    CONTROL = "control"
    """Calls that change a study, and may wait for its optimizer."""
    MODELS = "model"
    """Calls that run models of this process."""
    REMOTE = "remote"
    """Calls that may wait for a model of another process."""


THREADS = {Pool.READS: 16, Pool.CONTROL: 32, Pool.MODELS: 4, Pool.REMOTE: 16}
WAITING = {Pool.READS: 1024, Pool.CONTROL: 512, Pool.MODELS: 64, Pool.REMOTE: 128}
"""Calls that may wait for a thread of each pool: each holds its request in memory."""
FULL_RETRY_SECONDS = 1.0
"""Seconds after which a call may be repeated that found too many others."""


KEPT_GENERATORS = 32
"""Number of cached generators with parameters and inputs of a study; the least recently used is
dropped first.
"""


class Backend:
    """All parts of the server except the wire. Must be created on the server's event loop.

    Attributes:
        config: the server's configuration.
        device: device of optimizers and generators.
        store: the journals.
        equip: gives the optimizer of a study the models that it uses.
        registry: the studies.
        workers: threads that evaluate studies with an oracle.
        peers: the other servers on the store.
        changes: notifications for waiting tasks.
        authority: decides who may do what.
        memory: the memory of calls and studies.
        methods: counts of the answered calls, by the method's name.
        tallies: counts of the calls of each oracle, by its name.

    Raises:
        StoreError: if the store or the audit log cannot be opened.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.device = resolve_device(config.device)
        self.store = SQLStore(config.store)
        self.authority = Authority(self.store, config.quotas, config.audit_log)
        self.changes = Changes(asyncio.get_running_loop())
        self.equip = equipment.by_spec(self.generator_of, self.network)
        owner = Owner(self.store, process_name("server"))
        self.registry = StudyRegistry(self.store, self.device, self.equip, owner, self.generator_of)
        self.registry.on_change = self.changes.notify
        self.memory = MemoryBudget(
            config.memory_bytes or default_limit(),
            self.registry.memory_bytes,
            self.registry.rest_unused,
        )
        self.registry.room = lambda size, what: self.memory.holding(
            min(size, self.memory.limit),
            what,  # a study of a larger budget before runs alone
        )
        self.workers = Workers(
            self.registry,
            self.generator_of,
            self.oracle,
            self.network,
            self.images_of,
            config.workers,
            config.retry_delays,
        )
        self._moved: set[str] = set()
        self._oracles: dict[str, Limited] = {}
        self._found: OrderedDict[bytes, Generator] = OrderedDict()
        self._moving = threading.Lock()  # held while generators load
        self._limiting = threading.Lock()  # the event loop takes this lock; held briefly
        self._calls = dict.fromkeys(Pool, 0)
        self.methods: defaultdict[str, Tally] = defaultdict(Tally)
        self.tallies: dict[str, Tally] = {}
        self._pools = {pool: ThreadPoolExecutor(n, pool.value) for pool, n in THREADS.items()}
        self._handler: Handler = _refuse
        self.peers = Peers(
            self.store,
            owner.owner_id,
            lambda method, request: self._handler(method, request),
            self._pools[Pool.CONTROL],
        )

    def answers_peers(self, handler: Handler) -> None:
        """Sets the function that answers the calls of other servers."""
        self._handler = handler

    async def in_thread(
        self,
        function: Callable[[], T],
        pool: Pool = Pool.READS,
        undo: Callable[[T], None] | None = None,
    ) -> T:
        """Calls `function` in a thread of `pool`, for the caller of the current task; returns its
        result or raises its error.

        Args:
            function: what to call. It is not called if the caller has left before its turn.
            pool: the threads.
            undo: called with the result if the caller has left before there is a result.

        Raises:
            QuotaExceeded: if too many calls wait for a thread of the pool.
        """
        gone = threading.Event()

        def run() -> T:
            with abandonable(gone.is_set):
                return function()

        inside = partial(contextvars.copy_context().run, run)
        with self._queued(pool):
            future = self._pools[pool].submit(inside)
            return await self._awaited(future, gone, undo)

    def calls(self) -> dict[Pool, int]:
        """The number of calls that wait for a thread of each pool or run in one."""
        return dict(self._calls)

    @contextmanager
    def _queued(self, pool: Pool) -> Iterator[None]:
        """Counts a call that waits for a thread or runs in one."""
        if self._calls[pool] >= THREADS[pool] + WAITING[pool]:
            raise QuotaExceeded(
                f"{self._calls[pool]} calls of this kind ({pool.value}) wait or run on this server "
                "already; try again",
                retry_after=FULL_RETRY_SECONDS,
            )
        self._calls[pool] += 1
        try:
            yield
        finally:
            self._calls[pool] -= 1

    @staticmethod
    async def _awaited(
        future: Future[T], gone: threading.Event, undo: Callable[[T], None] | None
    ) -> T:
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            gone.set()  # a call of a model gives its thread back
            if undo is not None:
                future.add_done_callback(partial(_undone, undo))
            raise

    def generator(self, name: str) -> Generator:
        """The generator with this name, on the server's device.

        Raises:
            NotFound: if the catalogue has no such entry.
        """
        generator = self.config.catalogue.generator(name)
        with self._moving:
            if name not in self._moved:
                generator.to(self.device)
                self._moved.add(name)
        return generator

    def generator_of(self, spec: StudySpec) -> Generator | None:
        """The generator of a study, with the study's parameters and inputs; None for a bare space.

        Raises:
            NotFound: if the catalogue has none of that name, or the store lacks an input.
            InvalidSpec: for parameters or inputs that the generator does not take.
        """
        if spec.generator is None:
            return None
        if not (spec.generator.parameters or spec.generator.inputs):
            return self.generator(spec.generator.name)
        key = msgspec.json.encode(spec.generator, order="deterministic")
        with self._moving:
            if key not in self._found:
                catalogue, artifacts = self.config.catalogue, self.store.artifacts
                found = study_generator(catalogue, artifacts, spec.generator)
                found.to(self.device)
                self._found[key] = found
                if len(self._found) > KEPT_GENERATORS:
                    self._found.popitem(last=False)
            self._found.move_to_end(key)
            return self._found[key]

    def images_of(self, spec: StudySpec) -> Images | None:
        """The natural images of a study's baseline; None without a baseline.

        Raises:
            NotFound: if the catalogue has no set of that name, or the store lacks the artifact.
            InvalidSpec, ShapeMismatch: for an artifact that does not hold images.
        """
        if spec.baseline is None:
            return None
        return baseline_images(self.config.catalogue, self.store.artifacts, spec.baseline)

    def oracle(self, name: str) -> Oracle:
        """The oracle with this name; an empty name stands for the only oracle.

        Raises:
            NotFound: if the catalogue has no such entry.
            InvalidInput: for an empty name where there are several.
        """
        names = self.config.catalogue.oracle_names()
        if not name:
            if len(names) != 1:
                raise InvalidInput(
                    f"this server has {len(names)} oracles, name one of them: {', '.join(names)}",
                    field="oracle",
                )
            name = names[0]
        return self._limited(name)

    def network(self, name: str) -> Oracle:
        """The oracle with this name itself, whose network an optimizer uses.

        Raises:
            NotFound: if the catalogue has no such entry.
        """
        return self.config.catalogue.oracle(name)

    def hanging(self) -> list[str]:
        """Names of the oracles with calls that were given up and have not returned."""
        with self._limiting:
            return sorted(name for name, one in self._oracles.items() if one.hanging)

    def _limited(self, name: str) -> Limited:
        inner = self.config.catalogue.oracle(name)
        with self._limiting:
            known = self._oracles.get(name)
            if known is None or known.inner is not inner:
                tally = self.tallies.setdefault(name, Tally())
                known = limited(name, inner, self.config.oracle_seconds, tally)
                self._oracles[name] = known
            return known

    def close(self) -> None:
        """Closes all resources, after calls and workers have ended."""
        self.peers.stop()
        for pool in self._pools.values():
            pool.shutdown(wait=False, cancel_futures=True)
        self.registry.close()
        self.authority.close()
        self.store.close()


def _undone(undo: Callable[[T], None], future: Future[T]) -> None:
    if not future.cancelled() and future.exception() is None:
        undo(future.result())


def _refuse(method: str, request: bytes) -> bytes:
    del request
    raise ServerUnavailable(f"{method}: the server is starting; try again", retry_after=0.5)
