"""The server: start, operation and orderly stop."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial

import grpc
from grpc_health.v1 import health, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from blackbox_am.errors import BlackboxError, Conflict, InvalidSpec, StoreError
from blackbox_am.rpc.api import MIN_KEEPALIVE_SECONDS
from blackbox_am.service import calls
from blackbox_am.service.auth.guarding import Guard
from blackbox_am.service.auth.transport import Credentials, check_exposure
from blackbox_am.service.backend import Backend, Pool
from blackbox_am.service.catalog import CatalogService
from blackbox_am.service.config import Config
from blackbox_am.service.decoding import Decoding
from blackbox_am.service.ending import within
from blackbox_am.service.groups import GroupService
from blackbox_am.service.metrics import Metrics
from blackbox_am.service.oracles import OracleService
from blackbox_am.service.readiness import Readiness
from blackbox_am.service.studies import StudyService
from blackbox_am.v1 import (
    catalog_service_pb2,
    group_service_pb2,
    oracle_service_pb2,
    study_service_pb2,
)
from blackbox_am.v1.catalog_service_pb2_grpc import add_CatalogServiceServicer_to_server
from blackbox_am.v1.group_service_pb2_grpc import add_GroupServiceServicer_to_server
from blackbox_am.v1.oracle_service_pb2_grpc import add_OracleServiceServicer_to_server
from blackbox_am.v1.study_service_pb2_grpc import add_StudyServiceServicer_to_server

log = logging.getLogger(__name__)

GRACE_SECONDS = 2.0
"""Seconds that calls have to finish after a request to stop."""
WORKER_SECONDS = 10.0
"""Seconds that running studies have to finish their generation."""
COLLECT_SECONDS = 3600.0
"""Seconds between two searches for artifacts to remove."""
COLLECT_AFTER = (20_000, 20, 20)
"""How many new objects Python's garbage collector waits for. With its default of 700, most of the
time to read a large request goes to the collector.
"""
CLOSE_SECONDS = 5.0
"""Seconds that the store has to close; a call without an end may hold it."""

SERVICES = (
    study_service_pb2.DESCRIPTOR.services_by_name["StudyService"].full_name,
    group_service_pb2.DESCRIPTOR.services_by_name["GroupService"].full_name,
    oracle_service_pb2.DESCRIPTOR.services_by_name["OracleService"].full_name,
    catalog_service_pb2.DESCRIPTOR.services_by_name["CatalogService"].full_name,
)


class Server:
    """A server on the running event loop.

    Args:
        config: the configuration.

    Attributes:
        address: the address on which the started server listens, with the actual port if port 0 was
            requested.
        ended: whether every call had ended when the server stopped.
    """

    def __init__(self, config: Config) -> None:
        self.address = config.address
        self._config = config
        self._backend: Backend | None = None
        self._server: grpc.aio.Server | None = None
        self._health: health.aio.HealthServicer | None = None
        self._guard: Guard | None = None
        self._metrics: Metrics | None = None
        self._background: list[asyncio.Task[None]] = []
        self.ended = True

    async def start(self) -> str:
        """Starts serving, and resumes every study that is to run. Returns the address.

        Raises:
            Conflict: if the address cannot be listened on.
            StoreError: if the store or the audit log cannot be opened.
            InvalidSpec: if a certificate cannot be used, or if other machines could reach a server
                without encryption or tokens.
        """
        # The store is opened first, because a bound port is released only by a server that has run.
        backend = Backend(self._config)
        self._guard = Guard(backend.authority, backend.in_thread)
        server = grpc.aio.server(
            interceptors=(self._guard, Decoding(SERVICES)), options=_options(self._config)
        )
        try:
            if self._config.metrics_address:
                self._metrics = Metrics(backend, self._config.metrics_address)
            self.address = _bind(server, self._config, tokens=backend.authority.tokens.required())
        except BlackboxError:
            if self._metrics is not None:
                self._metrics.close()
            backend.workers.stop(0.0)
            backend.close()
            raise
        studies = StudyService(backend)
        backend.answers_peers(partial(calls.control, studies))
        add_StudyServiceServicer_to_server(studies, server)
        add_OracleServiceServicer_to_server(OracleService(backend), server)
        add_CatalogServiceServicer_to_server(CatalogService(backend), server)
        self._health = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        reflection.enable_server_reflection(
            (*SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME), server
        )
        groups = GroupService(backend, partial(calls.by_owner, studies))
        add_GroupServiceServicer_to_server(groups, server)
        await server.start()
        self._backend, self._server = backend, server
        readiness = Readiness(self._health, backend, SERVICES)
        await readiness.look()
        self._background = [
            asyncio.create_task(_keep_up(backend, groups.grouping.finish_all)),
            asyncio.create_task(readiness.watch()),
        ]
        log.info("serving on %s, store %s", self.address, backend.store.url)
        return self.address

    async def stop(self) -> None:
        """Stops the server. Running studies stay resumable; watchers get an error that asks them to
        retry.
        """
        if self._server is None or self._backend is None or self._health is None:
            return
        if self._guard is not None:
            await self._guard.close()
        log.info("stopping")
        if self._metrics is not None:
            await asyncio.to_thread(self._metrics.close)
        await self._health.enter_graceful_shutdown()
        for task in self._background:
            task.cancel()
        self._backend.changes.close()
        _, finished = await asyncio.gather(
            self._server.stop(GRACE_SECONDS),
            asyncio.to_thread(self._backend.workers.stop, WORKER_SECONDS),
        )
        closed = await within(CLOSE_SECONDS, self._backend.close)
        self.ended = finished and closed and not self._backend.hanging()
        self._server = None


def serve(config: Config, ready: Callable[[str], None] = lambda address: None) -> bool:
    """Serves until SIGTERM or SIGINT. Must be called on the main thread.

    Returns whether every call has ended. A call that hangs in a model runs on in its thread.

    Args:
        config: the configuration of the server.
        ready: called with the address when the server listens.

    Raises:
        Conflict: if the address cannot be listened on.
        StoreError: if the store cannot be opened.
    """

    gc.set_threshold(*COLLECT_AFTER)

    async def main() -> bool:
        told = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, told.set)
        return await _serve(config, ready, told)

    return asyncio.run(main())


@contextmanager
def running(config: Config) -> Iterator[str]:
    """A server in a thread of this process, for the duration of the context. Yields its address.

    Raises:
        Conflict: if the address cannot be listened on.
        StoreError: if the store cannot be opened.
    """
    started = threading.Event()
    found: list[str] = []
    problems: list[BaseException] = []
    handles: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def main() -> None:
        told = asyncio.Event()
        handles.append((asyncio.get_running_loop(), told))

        def ready(address: str) -> None:
            found.append(address)
            started.set()

        await _serve(config, ready, told)

    def work() -> None:
        try:
            asyncio.run(main())
        except BaseException as error:  # noqa: BLE001  # raised in the caller's thread
            problems.append(error)
        finally:
            started.set()

    thread = threading.Thread(target=work, name="server")
    thread.start()
    started.wait()
    try:
        if found:
            yield found[0]
    finally:
        with suppress(RuntimeError):  # the server has ended already
            for loop, told in handles:
                loop.call_soon_threadsafe(told.set)
        thread.join()
    if problems:
        raise problems[0]


async def _keep_up(backend: Backend, finish_all: Callable[[], None]) -> None:
    """Completes what ended processes left unfinished, then removes old artifacts at intervals."""
    await backend.in_thread(finish_all, Pool.CONTROL)
    while True:
        try:
            removed = await backend.in_thread(backend.store.artifacts.collect, Pool.CONTROL)
            if removed:
                log.info("removed %d artifacts to which no study refers", removed)
        except StoreError as error:
            log.warning("old artifacts cannot be removed: %s", error)
        await asyncio.sleep(COLLECT_SECONDS)


async def _serve(config: Config, ready: Callable[[str], None], told: asyncio.Event) -> bool:
    server = Server(config)
    address = await server.start()
    try:
        ready(address)
        await told.wait()
    finally:
        await server.stop()
    return server.ended


def _options(config: Config) -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", config.max_message_bytes),
        ("grpc.max_send_message_length", -1),
        ("grpc.so_reuseport", 0),  # two servers must not share a port
        ("grpc.http2.min_recv_ping_interval_without_data_ms", 1000 * MIN_KEEPALIVE_SECONDS),
        ("grpc.keepalive_permit_without_calls", 1),
    ]


def _bind(server: grpc.aio.Server, config: Config, *, tokens: bool) -> str:
    address = config.address
    try:
        check_exposure(address, config.tls, tokens)
    except InvalidSpec as error:
        if not config.insecure:
            raise
        log.warning("%s", error)
    credentials = Credentials(config.tls).for_grpc() if config.tls.on else None
    try:
        if credentials is None:
            port = server.add_insecure_port(address)
        else:
            port = server.add_secure_port(address, credentials)
    except RuntimeError as error:
        raise Conflict(
            f"cannot listen on {address}: the port is in use, or the address is not one of this "
            "machine; choose another, such as localhost:0 for any free port",
            field="address",
        ) from error
    host, separator, asked = address.rpartition(":")
    return f"{host}:{port}" if separator and asked == "0" else address
