"""Several servers with one model: who is asked next, who is down, and who takes over."""

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
    ServerError,
    ServerUnavailable,
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
"""An endpoint that is down is left alone for so long: at first, and at most."""
HEALTH_SECONDS = 5.0
"""For a health check, where another endpoint can be asked instead."""


class Endpoint:
    """One server, and what is known of it.

    Attributes:
        address: of it.
        busy: calls that it has at the moment.
        turn: when it was asked last, by a count.
        failures: in a row.
        again: when it may be asked again, on the pool's clock.
        checked: whether it has been healthy, with the right model, since it last failed.
        checking: held while that is found out.
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
        """Its channel; a new one after `close`."""
        with self._lock:
            if self._channel is None:
                self._channel = self._access.channel(self.address)
            return self._channel

    @property
    def stub(self) -> OracleServiceStub:
        """Its oracle."""
        return OracleServiceStub(self.channel)

    def close(self) -> None:
        """Closes the connection; the next call opens it anew."""
        with self._lock:
            channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()


class Endpoints:
    """Servers with the same model, asked in turn; one that is down is passed over for a while.

    A call goes to the endpoint that has least to do, and to the next where that turns out to
    be unavailable. One that failed is left alone for a second, then for twice as long each
    time, and is checked before it is asked again. Where all are down each is tried at once:
    whoever calls knows better how long to wait.

    Args:
        addresses: of the servers.
        access: how they are spoken to.
        oracle: its name there.
        timeout: seconds that one call may take.
        clock: seconds, for the back-off.
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
        """What the servers say of the model; its batch size is the smallest of theirs.

        Raises:
            NotFound: where a server has no such oracle.
            OracleFailed: where they have different models, or say nothing sensible.
            OracleUnavailable, OracleTimeout: where none of them answers.
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
        """What `call` returns of the first endpoint that is available.

        Args:
            call: gets an endpoint and the headers to send; what it counts of an attempt that
                failed is counted as lost before the next.

        Raises:
            OracleUnavailable: where none is.
            BlackboxError: anything else that went wrong; no other endpoint is asked then.
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
                raise  # what took too long here would take as long elsewhere
            else:
                with self._lock:
                    endpoint.failures, endpoint.again = 0, 0.0
                return answer
            finally:
                with self._lock:
                    endpoint.busy -= 1
        raise self._none(problems)

    def close(self) -> None:
        """Closes all connections; the next call opens them anew."""
        for endpoint in self._all:
            endpoint.close()

    def _take(self, tried: list[Endpoint]) -> Endpoint | None:
        """The endpoint to ask next, marked as busy; None where all were tried."""
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
            log.warning("%s; others are asked instead for %.3g s", error, left)

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
        """Sees that an endpoint is healthy and has the model of the others. Under its lock."""
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
            return  # it serves no health checks: whether it describes its oracle will tell
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
        # Without its cause: a traceback would show what was just struck out.
        raise problem from None

    def _problem(self, error: grpc.RpcError, address: str) -> BlackboxError:
        """The error to raise for a failed call: in a study, the far server is an oracle."""
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
        if isinstance(problem, (ServerError, Unsupported)):
            return OracleFailed(f"{name}: {problem.message}")
        if isinstance(problem, NotFound) and len(self._all) > 1:
            return NotFound(f"{name}: {problem.message}")
        return problem


def too_long(details: str) -> bool:
    """Whether gRPC's words mean that an answer was refused here, for its length."""
    return "CLIENT: Received message larger than max" in details


def _differences(one: OracleInfo, other: OracleInfo) -> str:
    """What two descriptions of a model differ in; how many rows a server likes may differ."""
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
