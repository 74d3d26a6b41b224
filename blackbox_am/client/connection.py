"""The channel to one server, and how a call is made over it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import grpc
from numpy.typing import NDArray

from blackbox_am.client.names import ClientName
from blackbox_am.core.addresses import grpc_proxy_options
from blackbox_am.errors import ServerUnavailable
from blackbox_am.rpc import observing
from blackbox_am.rpc.status import from_rpc_error
from blackbox_am.v1 import oracle_service_pb2 as pb
from blackbox_am.v1.catalog_service_pb2_grpc import CatalogServiceStub
from blackbox_am.v1.oracle_service_pb2_grpc import OracleServiceStub
from blackbox_am.v1.study_service_pb2_grpc import StudyServiceStub

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 2.0
"""Between attempts to reach a server that is away."""
SEND_BYTES = 3 * 2**20
"""Requests are split below this, so that any server takes them."""

_OPTIONS = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2000),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
)


class Connection:
    """A channel and its stubs.

    Attributes:
        target: the server's address.
        timeout: seconds that a call may take.
        name: under which candidates are asked for.
        studies, oracles, catalog: the services.
    """

    def __init__(self, target: str, timeout: float, client_id: str | None = None) -> None:
        self.target = target
        self.timeout = timeout
        self.name = ClientName(client_id)
        options = [*_OPTIONS, *grpc_proxy_options(target)]
        self._channel = grpc.insecure_channel(target, options=options)
        self.studies = StudyServiceStub(self._channel)
        self.oracles = OracleServiceStub(self._channel)
        self.catalog = CatalogServiceStub(self._channel)

    def call(self, method: Callable[..., Any], request: Any) -> Any:
        """One unary call.

        Raises:
            BlackboxError: what the server raised, or `ServerUnavailable`.
        """
        try:
            return method(request, timeout=self.timeout)
        except grpc.RpcError as error:
            raise from_rpc_error(error, self.target) from error

    def persist(self, method: Callable[..., Any], request: Any, seconds: float) -> Any:
        """One unary call, again where the server is away. For calls that may be repeated.

        Args:
            method, request: as for `call`.
            seconds: how long a server that went away is waited for.

        Raises:
            BlackboxError: as `call`.
        """
        deadline, pause = time.monotonic() + seconds, FIRST_PAUSE_SECONDS
        while True:
            try:
                return self.call(method, request)
            except ServerUnavailable as error:
                wait = max(pause, error.retry_after or 0.0)
                if time.monotonic() + wait > deadline:
                    raise
            time.sleep(wait)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def stream(self, request: pb.ObserveRequest, stimuli: NDArray[Any]) -> NDArray[Any]:
        """The activations that `request` asks for, of stimuli too large for a message.

        Raises:
            BlackboxError: as `call`.
        """
        parts = observing.outgoing(request, stimuli, stimuli.dtype.name)
        try:
            return observing.incoming(observing.method(self._channel)(parts, timeout=self.timeout))
        except grpc.RpcError as error:
            raise from_rpc_error(error, self.target) from error

    def close(self) -> None:
        """Closes the channel."""
        self._channel.close()
        self.name.close()
