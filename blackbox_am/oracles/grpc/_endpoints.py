"""Several servers with one model: the choice of the server for a call, and the handling of
failures.

The choice is made here and not by gRPC's own round_robin with health checks and a retry policy:
those hide the attempts, and each attempt is billed; they cannot check that all servers have the
same model; and they do not obey `retry_after`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

import grpc
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2_grpc import HealthStub

from blackbox_am.core.metering import Meter, count, metering
from blackbox_am.core.types import OracleInfo
from blackbox_am.errors import (
    BlackboxError,
    InvalidInput,
    NotFound,
    OracleFailed,
    OracleTimeout,
    OracleUnavailable,
    QuotaExceeded,
    ServerError,
    ServerUnavailable,
    StoreError,
    Unsupported,
)
from blackbox_am.oracles._secrets import struck_out
from blackbox_am.oracles.grpc._access import Access
from blackbox_am.rpc import progress
from blackbox_am.rpc.status import from_rpc_error
from blackbox_am.v1 import oracle_service_pb2 as pb
from blackbox_am.v1.oracle_service_pb2_grpc import OracleServiceStub

T = TypeVar("T")
Metadata = tuple[tuple[str, str], ...]

log = logging.getLogger(__name__)

FIRST_SECONDS = 1.0
LONGEST_SECONDS = 60.0
"""Seconds without calls after a failure of an endpoint: after the first failure, and at most."""
HEALTH_SECONDS = 5.0
"""Time limit, in seconds, of a health check if there is another endpoint."""


class Endpoint:
    """One server and its state.

    Attributes:
        address: of the server.
        busy: number of calls in progress.
        turn: number of the last call, counted over all endpoints.
        failures: failures in a row.
        again: when the endpoint may get calls again, in seconds of the pool's clock.
        checked: whether health and model were found right since the last failure.
        checking: lock that is held during this check.
    """

    def __init__(self, address: str, access: Access) -> None:
        self.address = address
        self.busy = 0
        self.turn = 0
        self.failures = 0
        self.again = 0.0
        self.checked = False
        self.checking = threading.Lock()
        self._access = access
        self._lock = threading.Lock()
        self._channel: grpc.Channel | None = None

    @property
    def channel(self) -> grpc.Channel:
        """The channel; a new one after `close`."""
        with self._lock:
            if self._channel is None:
                self._channel = self._access.channel(self.address)
            return self._channel

    @property
    def stub(self) -> OracleServiceStub:
        """The stub of its oracle."""
        return OracleServiceStub(self.channel)

    def close(self) -> None:
        """Closes the connection; the next call opens it again."""
        with self._lock:
            channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()


class Endpoints:
    """Servers with the same model, which share the calls.

    A call goes to the endpoint with the fewest calls in progress, and to the next one where the
    first is unavailable. An endpoint that failed gets no calls for a second, and for twice as
    long after each further failure; its health and model are checked before it gets calls
    again. Where all endpoints are down each is tried without waiting, because the caller decides
    how long to wait.

    Args:
        addresses: of the servers.
        access: how to connect to them.
        oracle: name of the oracle on the servers.
        timeout: seconds that one call may take.
        clock: seconds of a clock, for the pauses.
    """

    def __init__(
        self,
        addresses: Sequence[str],
        access: Access,
        oracle: str,
        timeout: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._all = [Endpoint(address, access) for address in addresses]
        self._access = access
        self._oracle = oracle
        self._timeout = timeout
        self._patience = timeout if len(addresses) == 1 else min(timeout, HEALTH_SECONDS)
        self._clock = clock
        self._lock = threading.Lock()
        self._turn = 0
        self._first: tuple[str, OracleInfo] | None = None

    def describe(self) -> OracleInfo:
        """The servers' description of the model; the batch size is the smallest of theirs.

        Raises:
            NotFound: if a server has no such oracle.
            OracleFailed: if the servers have different models, or a description makes no sense.
            OracleUnavailable, OracleTimeout: if no server answers.
        """
        problems: list[OracleUnavailable | OracleTimeout] = []
        found = []
        for endpoint in self._all:
            try:
                with endpoint.checking:
                    found.append(self._check(endpoint))
            except (OracleUnavailable, OracleTimeout) as error:
                self._failed(endpoint, error)
                problems.append(error)
        if not found:
            raise self._none(problems)
        return replace(found[0], batch_size=min(info.batch_size for info in found))

    def reach(self, call: Callable[[Endpoint, Metadata], T]) -> T:
        """The result of `call` on the first endpoint that is available.

        Args:
            call: takes an endpoint and the headers to send. Rows that it has counted in a
                failed attempt are counted as retries before the next attempt.

        Raises:
            OracleUnavailable: if no endpoint is available.
            BlackboxError: for any other failure; no other endpoint is tried then.
        """
        tried: list[Endpoint] = []
        problems: list[OracleUnavailable | OracleTimeout] = []
        meter: Meter | None = None
        while (endpoint := self._take(tried)) is not None:
            if meter is not None:
                count(meter.lost())
                meter = None
            try:
                with endpoint.checking:
                    if not endpoint.checked:
                        self._check(endpoint)
                with metering() as meter:
                    answer = self._call(endpoint, call)
            except OracleUnavailable as error:
                self._failed(endpoint, error)
                problems.append(error)
            except OracleTimeout as error:
                self._failed(endpoint, error)
                raise  # the same call would take as long on another server
            else:
                with self._lock:
                    endpoint.failures, endpoint.again = 0, 0.0
                return answer
            finally:
                with self._lock:
                    endpoint.busy -= 1
        raise self._none(problems)

    def close(self) -> None:
        """Closes all connections; the next call opens them again."""
        for endpoint in self._all:
            endpoint.close()

    def _take(self, tried: list[Endpoint]) -> Endpoint | None:
        """The endpoint for the next attempt, marked as busy; None if all were tried."""
        with self._lock:
            left = [endpoint for endpoint in self._all if endpoint not in tried]
            if not left:
                return None
            now = self._clock()
            chosen = min(left, key=lambda e: (max(e.again - now, 0.0), e.busy, e.turn))
            self._turn += 1
            chosen.turn = self._turn
            chosen.busy += 1
        tried.append(chosen)
        return chosen

    def _failed(self, endpoint: Endpoint, error: BlackboxError) -> None:
        with self._lock:
            endpoint.checked = False
            now = self._clock()
            if endpoint.again <= now:  # not where several calls failed at once
                wait = min(FIRST_SECONDS * 2**endpoint.failures, LONGEST_SECONDS)
                endpoint.failures = min(endpoint.failures + 1, 16)
                endpoint.again = now + max(wait, error.retry_after or 0.0)
            left = endpoint.again - now
        if len(self._all) > 1:
            log.warning("%s; other endpoints get its calls for %.3g s", error, left)

    def _none(self, problems: Sequence[OracleUnavailable | OracleTimeout]) -> BlackboxError:
        if len(problems) == 1:
            return problems[0]
        known = [p.retry_after for p in problems if p.retry_after is not None]
        return OracleUnavailable(
            f"none of {len(problems)} endpoints answers: "
            + "; ".join(problem.message for problem in problems),
            retry_after=min(known) if len(known) == len(problems) else None,
        )

    def _check(self, endpoint: Endpoint) -> OracleInfo:
        """Checks health and model of an endpoint. The caller holds `endpoint.checking`."""
        self._call(endpoint, self._healthy)
        info = self._call(endpoint, self._described)
        with self._lock:
            self._first = self._first or (endpoint.address, info)
            first, known = self._first
        differences = _differences(known, info)
        if differences:
            before = "it was" if first == endpoint.address else f"that at {first} is"
            raise OracleFailed(
                f"the oracle at {endpoint.address} is another model than {before}: "
                f"{differences}; give addresses of servers that have the same model"
            )
        endpoint.checked = True
        return info

    def _healthy(self, endpoint: Endpoint, metadata: Metadata) -> None:
        name = f"oracle at {endpoint.address}"
        try:
            answer = HealthStub(endpoint.channel).Check(
                health_pb2.HealthCheckRequest(), timeout=self._patience, metadata=metadata
            )
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.UNAVAILABLE:
                raise
            if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                raise OracleUnavailable(
                    f"{name} did not answer a health check within {self._patience:g} s"
                ) from error
            return  # the server has no health service; DescribeOracle shows whether it works
        if answer.status != health_pb2.HealthCheckResponse.SERVING:
            said = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
            raise OracleUnavailable(f"{name}: its health check says {said}")

    def _described(self, endpoint: Endpoint, metadata: Metadata) -> OracleInfo:
        request = pb.DescribeOracleRequest(oracle=self._oracle)
        answer = endpoint.stub.DescribeOracle(request, timeout=self._timeout, metadata=metadata)
        try:
            return progress.oracle_from_proto(answer)
        except InvalidInput as error:
            raise OracleFailed(f"oracle at {endpoint.address}: {error.message}") from error

    def _call(self, endpoint: Endpoint, call: Callable[[Endpoint, Metadata], T]) -> T:
        metadata, secrets = self._access.metadata()
        problem: BlackboxError
        try:
            return call(endpoint, metadata)
        except grpc.RpcError as error:
            problem = self._problem(error, endpoint.address)
        except BlackboxError as error:
            problem = error
        if secrets:
            problem = type(problem)(
                struck_out(problem.message, secrets),
                field=problem.field,
                retry_after=problem.retry_after,
            )
        # Without its cause, whose traceback would show the secrets.
        raise problem from None

    def _problem(self, error: grpc.RpcError, address: str) -> BlackboxError:
        """The error to raise for a failed call: to a study, the server is an oracle."""
        name = f"oracle at {address}"
        details = str(error.details() or "")
        if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
            return OracleTimeout(
                f"{name} did not answer within {self._timeout:g} s; "
                "raise timeout_seconds, or see what keeps it busy"
            )
        if too_long(details):
            return OracleFailed(
                f"{name} answered with a message that is far too long ({details}); it should "
                "send what is above 2 MiB in chunks"
            )
        problem = from_rpc_error(error, name)
        if isinstance(problem, ServerUnavailable):
            meaning = self._access.meaning(details)
            return OracleUnavailable(
                f"{name}: {meaning}" if meaning else problem.message,
                retry_after=problem.retry_after,
            )
        busy = isinstance(problem, QuotaExceeded) and problem.retry_after is not None
        if busy or isinstance(problem, StoreError):
            return OracleUnavailable(f"{name}: {problem.message}", retry_after=problem.retry_after)
        if isinstance(problem, (ServerError, Unsupported)):
            return OracleFailed(f"{name}: {problem.message}")
        if isinstance(problem, NotFound) and len(self._all) > 1:
            return NotFound(f"{name}: {problem.message}")
        return problem


def too_long(details: str) -> bool:
    """Whether gRPC's message says that an answer was longer than this client allows."""
    return "CLIENT: Received message larger than max" in details


def _differences(one: OracleInfo, other: OracleInfo) -> str:
    """The fields in which two descriptions of a model differ; batch sizes are not compared."""
    found = []
    for name in ("stimulus_shape", "capabilities", "deterministic"):
        mine, theirs = getattr(one, name), getattr(other, name)
        if mine != theirs:
            found.append(f"{name} {theirs} and not {mine}")
    if one.fingerprint and other.fingerprint and one.fingerprint != other.fingerprint:
        found.append(f"fingerprint {other.fingerprint} and not {one.fingerprint}")
    if one.layers != other.layers:
        mine, theirs = ([layer.name for layer in info.layers] for info in (one, other))
        found.append(
            f"layers {theirs[:6]} and not {mine[:6]}"
            if mine != theirs
            else "layers of another shape"
        )
    return ", ".join(found)
