"""Metrics in Prometheus' format, on an address of their own.

Everything is read when Prometheus asks, from counts that the server has anyway.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from blackbox_am.core.tally import Counts, Tally
from blackbox_am.errors import Conflict, InvalidSpec, MissingExtra, StoreError
from blackbox_am.service.backend import Backend

if TYPE_CHECKING:
    from prometheus_client.core import Metric

log = logging.getLogger(__name__)

DEFAULT_PORT = 9464
"""The port of metrics where an address has none, as exporters of OpenTelemetry use it."""
PREFIX = "blackbox_am_"
Samples = Iterable[tuple[tuple[str, ...], float]]
"""The values of the labels, and the value."""


class Metrics:
    """Serves the metrics of a server until `close`.

    Args:
        backend: the server.
        address: host and port on which metrics are served; without a port 9464, and port 0 picks a
            free one.

    Attributes:
        address: the address with the actual port.

    Raises:
        MissingExtra: if the package prometheus-client is not installed.
        InvalidSpec: for something that is not an address.
        Conflict: if the address cannot be listened on.
    """

    def __init__(self, backend: Backend, address: str) -> None:
        try:
            from prometheus_client import CollectorRegistry, start_http_server
        except ModuleNotFoundError as error:
            raise MissingExtra.of("prometheus_client", "metrics") from error
        host, port = _parted(address)
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Collector(backend))
        try:
            self._server, self._thread = start_http_server(port, host, registry)
        except OSError as error:
            raise Conflict(
                f"cannot serve metrics on {address} ({error.strerror or error}); choose another "
                "address, such as localhost:9464",
                field="metrics_address",
            ) from error
        self.address = f"{host}:{self._server.server_port}"
        log.info("metrics on http://%s/metrics", self.address)

    def close(self) -> None:
        """Serves no more metrics."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _parted(address: str) -> tuple[str, int]:
    host, colon, port = address.rpartition(":")
    if not colon:
        host, port = address, str(DEFAULT_PORT)
    if not host or not port.isdecimal() or int(port) > 65535:
        raise InvalidSpec(
            f"metrics_address: expected host:port, such as localhost:9464, got {address!r}",
            field="metrics_address",
        )
    return host.strip("[]"), int(port)


class _Collector:
    """Reads the counts of a server for Prometheus."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._lock = threading.Lock()

    def describe(self) -> list[Metric]:
        """Nothing: a description would read the store before the server has started."""
        return []

    def collect(self) -> Iterator[Metric]:
        """The metrics of this moment."""
        with self._lock:  # one look at the store at a time
            yield from self._of_server()
            yield from self._of_studies()
            yield from self._of_oracles()
            yield from self._of_store()

    def _of_server(self) -> Iterator[Metric]:
        backend = self._backend
        memory = backend.memory
        yield _gauge("memory_limit_bytes", "Memory for calls and studies together.", memory.limit)
        yield _gauge("memory_calls_bytes", "Memory that calls hold.", memory.held)
        needed = backend.registry.memory_bytes()
        yield _gauge("memory_studies_bytes", "Memory that the studies in memory need.", needed)
        pools = [((pool.value,), number) for pool, number in backend.calls().items()]
        yield _gauge("calls_running", "Calls that run or wait for a thread.", pools, ("pool",))
        yield from _counted("call", "Calls", "method", _read(backend.methods))

    def _of_studies(self) -> Iterator[Metric]:
        queues = self._backend.workers.queues()
        running = [((name,), count) for name, (count, _) in queues.items()]
        waiting = [((name,), count) for name, (_, count) in queues.items()]
        oracle = ("oracle",)
        yield _gauge("studies_running", "Studies that a worker runs here.", running, oracle)
        yield _gauge("studies_waiting", "Studies that wait for a worker here.", waiting, oracle)

    def _of_oracles(self) -> Iterator[Metric]:
        counts = _read(self._backend.tallies)
        yield from _counted("oracle", "Calls of oracles", "oracle", counts, rows=True)
        hanging = set(self._backend.hanging())
        names = self._backend.config.catalogue.oracle_names()
        yield _gauge(
            "oracle_hanging",
            "1 while calls of the oracle were given up and have not returned.",
            [((name,), float(name in hanging)) for name in names],
            ("oracle",),
        )

    def _of_store(self) -> Iterator[Metric]:
        database = self._backend.store.database
        yield from _counted("store_write", "Durable writes", "", {(): database.writes.counts()})
        states: dict[str, int] = {}
        ready = 1.0
        try:
            states = self._backend.store.count_by_state()
        except StoreError as error:
            ready = 0.0
            log.warning("metrics without the studies of the store: %s", error)
        yield _gauge("ready", "1 while the store can be read.", ready)
        counts = [((state,), count) for state, count in sorted(states.items())]
        yield _gauge("studies", "Studies of the store, of all servers.", counts, ("state",))


def _read(tallies: Mapping[str, Tally]) -> dict[tuple[str, ...], Counts]:
    """The counts by the value of their label."""
    return {(name,): tally.counts() for name, tally in sorted(tallies.items())}


def _gauge(name: str, meaning: str, samples: Samples | float, labels: tuple[str, ...] = ()) -> Any:
    from prometheus_client.core import GaugeMetricFamily

    return _filled(GaugeMetricFamily(PREFIX + name, meaning, labels=labels), samples)


def _counter(name: str, meaning: str, samples: Samples, labels: tuple[str, ...]) -> Any:
    from prometheus_client.core import CounterMetricFamily

    return _filled(CounterMetricFamily(PREFIX + name, meaning, labels=labels), samples)


def _filled(family: Any, samples: Samples | float) -> Any:
    for labels, value in [((), samples)] if isinstance(samples, (int, float)) else samples:
        family.add_metric(labels, value)
    return family


def _counted(
    name: str, what: str, label: str, counts: dict[tuple[str, ...], Counts], *, rows: bool = False
) -> Iterator[Any]:
    """The counters of some tallies, by the values of their label."""
    labels = (label,) if label else ()

    def each(read: Callable[[Counts], float]) -> Samples:
        return [(key, read(count)) for key, count in counts.items()]

    yield _counter(f"{name}s_ended", f"{what} that have ended.", each(lambda c: c.calls), labels)
    duration = f"{what}: their duration together, in seconds."
    yield _counter(f"{name}_seconds", duration, each(lambda c: c.seconds), labels)
    if rows:
        yield _counter(f"{name}_rows", f"{what}: their rows.", each(lambda c: c.rows), labels)
    failed = [
        ((*key, error), number)
        for key, count in counts.items()
        for error, number in sorted(count.errors.items())
    ]
    meaning = f"{what} that have failed, by the class of the error."
    yield _counter(f"{name}_errors", meaning, failed, (*labels, "error"))
