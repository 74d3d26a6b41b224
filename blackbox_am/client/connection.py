"""The channel to one server, and how a call is made over it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
from numpy.typing import NDArray

from blackbox_am.core.addresses import grpc_proxy_options
from blackbox_am.rpc import observing
from blackbox_am.rpc.status import from_rpc_error
from blackbox_am.v1 import oracle_service_pb2 as pb
from blackbox_am.v1.catalog_service_pb2_grpc import CatalogServiceStub
from blackbox_am.v1.oracle_service_pb2_grpc import OracleServiceStub
from blackbox_am.v1.study_service_pb2_grpc import StudyServiceStub

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
        studies, oracles, catalog: the services.
    """

    def __init__(self, target: str, timeout: float) -> None:
        self.target = target
        self.timeout = timeout
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
