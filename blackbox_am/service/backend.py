"""What the servicers share: store, catalogue, live studies, workers, threads."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from blackbox_am.core.generator import Generator
from blackbox_am.core.oracle import Oracle
from blackbox_am.errors import InvalidInput
from blackbox_am.service.changes import Changes
from blackbox_am.service.config import Config
from blackbox_am.service.registry import StudyRegistry
from blackbox_am.service.workers import Workers
from blackbox_am.stores import SQLStore
from blackbox_am.studies import equipment
from blackbox_am.studies.local import resolve_device

T = TypeVar("T")

CALL_THREADS = 16
MODEL_THREADS = 4


class Backend:
    """Everything behind the wire. Made on the server's event loop.

    Blocking work is done in threads: calls that only look or write in some, calls that run
    models in others, so that a slow oracle does not keep anybody from looking.

    Attributes:
        config: as the server was set up.
        device: where optimizers and generators compute.
        store: the journals.
        registry: the studies.
        workers: what evaluates studies with an oracle.
        changes: who waits for news.

    Raises:
        StoreError: where the store cannot be opened.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.device = resolve_device(config.device)
        self.store = SQLStore(config.store)
        self.changes = Changes(asyncio.get_running_loop())
        equip = equipment.by_name(self.generator, self.oracle)
        self.registry = StudyRegistry(self.store, self.device, equip)
        self.registry.on_change = self.changes.notify
        self.workers = Workers(
            self.registry, self.generator, self.oracle, config.workers, config.retry_delays
        )
        self._moved: set[str] = set()
        self._moving = threading.Lock()
        self._calls = ThreadPoolExecutor(CALL_THREADS, "call")
        self._models = ThreadPoolExecutor(MODEL_THREADS, "model")

    async def in_thread(self, function: Callable[[], T], *, runs_models: bool = False) -> T:
        """What `function` returns or raises, called in a thread."""
        pool = self._models if runs_models else self._calls
        return await asyncio.get_running_loop().run_in_executor(pool, function)

    def generator(self, name: str) -> Generator:
        """The generator of that name, on the server's device.

        Raises:
            NotFound: where the catalogue has none.
        """
        generator = self.config.catalogue.generator(name)
        with self._moving:
            if name not in self._moved:
                generator.to(self.device)
                self._moved.add(name)
        return generator

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
        for pool in (self._calls, self._models):
            pool.shutdown(wait=False, cancel_futures=True)
        self.store.close()
