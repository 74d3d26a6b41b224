"""What the servicers share: store, catalogue, live studies, workers, threads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from typing import TypeVar

from blackbox_am.core.generator import Generator
from blackbox_am.core.oracle import Oracle
from blackbox_am.core.spec import GeneratorSpec
from blackbox_am.errors import InvalidInput, ServerUnavailable
from blackbox_am.service.changes import Changes
from blackbox_am.service.config import Config
from blackbox_am.service.generators import Generators
from blackbox_am.service.peers import Handler, Peers
from blackbox_am.service.registry import StudyRegistry
from blackbox_am.service.workers import Workers
from blackbox_am.stores import SQLStore
from blackbox_am.studies import equipment
from blackbox_am.studies.local import resolve_device
from blackbox_am.studies.ownership import Owner, process_name

T = TypeVar("T")


class Pool(Enum):
    """Threads for one kind of call. The value names them; see `THREADS` for how many there are."""

    READS = "read"
    """Reads what is published. Waits for no study, model or network."""
    CONTROL = "control"
    """Changes a study, and may wait for its optimizer."""
    MODELS = "model"
    """Runs models of this process."""
    REMOTE = "remote"
    """May wait for a model of another process."""


THREADS = {Pool.READS: 16, Pool.CONTROL: 32, Pool.MODELS: 4, Pool.REMOTE: 16}


class Backend:
    """Everything behind the wire. Made on the server's event loop.

    Attributes:
        config: as the server was set up.
        device: where optimizers and generators compute.
        store: the journals.
        registry: the studies.
        workers: what evaluates studies with an oracle.
        peers: the other servers on the store.
        changes: who waits for news.

    Raises:
        StoreError: where the store cannot be opened.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.device = resolve_device(config.device)
        self.store = SQLStore(config.store)
        self._generators = Generators(config.catalogue, self.store.artifacts, self.device)
        self.changes = Changes(asyncio.get_running_loop())
        equip = equipment.by_name(self.generator, self.oracle)
        owner = Owner(self.store, process_name("server"))
        self.registry = StudyRegistry(self.store, self.device, equip, owner)
        self.registry.on_change = self.changes.notify
        self.workers = Workers(
            self.registry, self.generator, self.oracle, config.workers, config.retry_delays
        )
        self._pools = {pool: ThreadPoolExecutor(n, pool.value) for pool, n in THREADS.items()}
        self._handler: Handler = _refuse
        self.peers = Peers(
            self.store,
            owner.owner_id,
            lambda method, request: self._handler(method, request),
            self._pools[Pool.CONTROL],
        )

    def answers_peers(self, handler: Handler) -> None:
        """Sets what answers the calls of other servers."""
        self._handler = handler

    async def in_thread(self, function: Callable[[], T], pool: Pool = Pool.READS) -> T:
        """What `function` returns or raises, called in a thread of `pool`."""
        return await asyncio.get_running_loop().run_in_executor(self._pools[pool], function)

    def generator(self, wanted: str | GeneratorSpec) -> Generator:
        """The generator of that name, or with the settings of a study, on the server's device.

        Raises:
            NotFound: where the catalogue has none.
            InvalidSpec: for settings that it does not take.
        """
        return self._generators.get(wanted)

    def oracle(self, name: str) -> Oracle:
        """The oracle of that name; the only one where the name is empty.

        Raises:
            NotFound: where the catalogue has none.
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
        return self.config.catalogue.oracle(name)

    def close(self) -> None:
        """Gives everything back, once calls and workers have ended."""
        self.peers.stop()
        for pool in self._pools.values():
            pool.shutdown(wait=False, cancel_futures=True)
        self.registry.close()
        self.store.close()


def _refuse(method: str, request: bytes) -> bytes:
    del request
    raise ServerUnavailable(f"{method}: the server is starting; try again", retry_after=0.5)
