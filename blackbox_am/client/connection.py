"""The channel to one server, and the way of making a call."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import grpc
from numpy.typing import NDArray

from blackbox_am.client.names import ClientName
from blackbox_am.core.certificates import Tls
from blackbox_am.errors import BlackboxError, ServerUnavailable, Unauthenticated
from blackbox_am.rpc import channels, observing
from blackbox_am.rpc.status import from_rpc_error
from blackbox_am.v1 import oracle_service_pb2 as pb
from blackbox_am.v1.catalog_service_pb2_grpc import CatalogServiceStub
from blackbox_am.v1.group_service_pb2_grpc import GroupServiceStub
from blackbox_am.v1.oracle_service_pb2_grpc import OracleServiceStub
from blackbox_am.v1.study_service_pb2_grpc import StudyServiceStub

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 1.0
"""Seconds between attempts to reach an unavailable server."""
TOKEN = "BLACKBOX_AM_TOKEN"  # noqa: S105  # the name of a variable
"""Environment variable with the token of a process that unpickles a client."""
SEND_BYTES = 3 * 2**20
"""Largest size of a request in bytes; larger requests are split, so that any server accepts
them.
"""

_OPTIONS = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
)


class Connection:
    """A channel and its stubs.

    Args:
        target, timeout: as below.
        client_id: name of the client; None for a name of its own.
        token: sent with each call.
        tls: how the connection is encrypted; None for no encryption.

    Attributes:
        target: the server's address.
        timeout: seconds that a call may take.
        name: the client's name in requests for candidates.
        studies, groups, oracles, catalog: the services.
    """

    def __init__(
        self,
        target: str,
        timeout: float,
        client_id: str | None = None,
        *,
        token: str | None = None,
        tls: Tls | None = None,
    ) -> None:
        self.target = target
        self.timeout = timeout
        self._tls, self._has_token = tls, token is not None
        self._channel = channels.channel(target, tls, token, _OPTIONS)
        self.name = ClientName(client_id)
        self.studies = StudyServiceStub(self._channel)
        self.groups = GroupServiceStub(self._channel)
        self.oracles = OracleServiceStub(self._channel)
        self.catalog = CatalogServiceStub(self._channel)

    def __reduce__(self) -> tuple[Any, ...]:
        """What a pickle has: never the token, nor the name, which no two clients may have."""
        return _reconnected, (self.target, self.timeout, self._has_token, self._tls)

    def __copy__(self) -> Connection:
        """The object itself: copies of a handle in one process use one connection."""
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Connection:
        return self

    def call(self, method: Callable[..., Any], request: Any) -> Any:
        """Make one unary call.

        Raises:
            BlackboxError: the server's error, or `ServerUnavailable`.
        """
        try:
            return method(request, timeout=self.timeout)
        except grpc.RpcError as error:
            raise self._problem(error) from error

    def reach(self, seconds: float) -> None:
        """Wait until the channel is connected.

        The channel connects again after each failure, with longer and longer pauses in which every
        call fails at once. So the channel is waited for, and not a call repeated. Without a
        connection in time, the next call says why.

        Args:
            seconds: longest time to wait.
        """
        ready = grpc.channel_ready_future(self._channel)
        try:
            ready.result(timeout=seconds)
        except grpc.FutureTimeoutError:
            ready.cancel()

    def persist(self, method: Callable[..., Any], request: Any, seconds: float) -> Any:
        """Make one unary call, and repeat it while the server is unavailable; only for repeatable
        calls.

        Args:
            method, request: as in `call`.
            seconds: longest time to wait for an unavailable server.

        Raises:
            BlackboxError: as in `call`.
        """
        attempts = Reconnecting(self.target, seconds)
        while True:
            try:
                return method(request, timeout=self.timeout)
            except grpc.RpcError as error:
                attempts.failed(error)

    def stream(self, request: pb.ObserveRequest, stimuli: NDArray[Any]) -> NDArray[Any]:
        """The activations for `request`, whose stimuli are too large for one message.

        Raises:
            BlackboxError: as `call`.
        """
        parts = observing.outgoing(request, stimuli, stimuli.dtype.name)
        try:
            return observing.incoming(observing.method(self._channel)(parts, timeout=self.timeout))
        except grpc.RpcError as error:
            raise from_rpc_error(error, self.target) from error

    def _problem(self, error: grpc.RpcError) -> BlackboxError:
        problem = from_rpc_error(error, self.target)
        meaning = channels.meaning(str(error.details() or ""), self._tls)
        if isinstance(problem, ServerUnavailable) and meaning:
            return ServerUnavailable(f"cannot talk to {self.target}: {meaning}")
        return problem

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()
        self.name.close()


def _reconnected(target: str, timeout: float, has_token: bool, tls: Tls | None) -> Connection:
    """The connection of an unpickled client; the token is that of this process.

    Raises:
        Unauthenticated: if the pickled client had a token, and this process has none.
    """
    token = os.environ.get(TOKEN, "").strip() or None
    if has_token and token is None:
        raise Unauthenticated(
            f"the client of {target} that was pickled sent a token, and a pickle has no token: set "
            f"the environment variable {TOKEN} of this process, or connect here with "
            "connect(target, token=...)"
        )
    return Connection(target, timeout, token=token if has_token else None, tls=tls)


class Reconnecting:
    """Waits for an unavailable server, longer after each attempt, up to a limit.

    Args:
        target: its address, for messages.
        seconds: longest time to wait.
        deadline: time on the monotonic clock at which the wait ends; None for no deadline.
    """

    def __init__(self, target: str, seconds: float, deadline: float | None = None) -> None:
        self._target = target
        self._seconds = seconds
        self._deadline = deadline
        self.answered()

    def answered(self) -> None:
        """Records that the server answered: a later failure counts as the first failure."""
        self._pause = FIRST_PAUSE_SECONDS
        self._lost_since: float | None = None

    def failed(self, error: grpc.RpcError) -> None:
        """Waits before the next attempt.

        Raises:
            BlackboxError: the server's error; `ServerUnavailable` if the server did not come back
                in time.
        """
        problem = from_rpc_error(error, self._target)
        if not isinstance(problem, ServerUnavailable):
            raise problem from error
        now = time.monotonic()
        self._lost_since = self._lost_since or now
        wait = max(self._pause, problem.retry_after or 0.0)
        if now + wait > self._lost_since + self._seconds:
            raise problem from error
        time.sleep(wait if self._deadline is None else min(wait, max(self._deadline - now, 0.0)))
        self._pause = min(2 * self._pause, LONGEST_PAUSE_SECONDS)
