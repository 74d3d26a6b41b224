"""An oracle on other servers, which implement `OracleService` in any language."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar, Literal

import grpc
import numpy as np
import torch
from numpy.typing import NDArray

from blackbox_am.core.capability import FORWARD
from blackbox_am.core.digests import Digest
from blackbox_am.core.metering import count
from blackbox_am.core.oracle import Oracle, check_stimuli, check_units
from blackbox_am.core.tensors import to_uint8
from blackbox_am.core.types import Accounting, OracleInfo
from blackbox_am.core.units import Unit
from blackbox_am.errors import InvalidInput, InvalidSpec, OracleFailed
from blackbox_am.oracles._at_once import at_once
from blackbox_am.oracles.grpc._access import Access
from blackbox_am.oracles.grpc._endpoints import Endpoint, Endpoints, Metadata, too_long
from blackbox_am.rpc import chunks, observing, tensors
from blackbox_am.v1 import oracle_service_pb2 as pb
from blackbox_am.v1.tensor_pb2 import Tensor

Array = NDArray[Any]

_NEVER_ARRIVED = (
    "failed to connect to all addresses",
    "DNS resolution failed",
    "larger than max",
)
"""Parts of gRPC's messages about calls that never reached the oracle."""

_NO_ADDRESS = dict.fromkeys(("target", "oracle", "headers"))

_LARGEST_NUMBER = 8
"""Bytes of a float64, the largest number of an answer."""


@dataclass(frozen=True)
class Remote(Oracle):
    """A model behind `blackbox_am.v1.OracleService`, on one server or on several.

    Stimuli are sent as float32, which is exact, or as uint8, which is a quarter of the bytes. Only
    forward passes are answered: gradients are not sent. Batches above 2 MiB are streamed,
    or split over several calls where a server does not implement ObserveStream, and
    an answer is read only as far as the requested activations need.

    Several servers with the same model share the rows of a batch, which is larger by their
    number. Where a server is unavailable the call goes to the next one. A server that failed
    gets no calls for a while, longer each time; its health (`grpc.health.v1`, where it is
    served) and description are checked before it gets calls again::

        [oracles.fleet]
        kind = "remote"
        target = ["one.example:50051", "two.example:50051"]
        tls = true
        headers = { authorization = "Bearer ${ORACLE_TOKEN}" }

    Attributes:
        target: address of the server, `host:port`; or the addresses of several servers.
        oracle: name of the oracle on the server; may be empty if the server has only one.
        timeout_seconds: how long one call may take.
        dtype: how stimuli are sent: `float32`, or `uint8`, rounded to 1/255.
        tls: whether the connection is encrypted.
        ca_file: certificates of the authorities to trust instead of the public ones.
        certificate_file, key_file: this client's own certificate and its key, in PEM, where the
            server asks for them.
        server_name: the name in the server's certificate, if it differs from the name in the
            address.
        headers: sent with each call. Secrets are given by reference: ``${NAME}`` is an environment
            variable and ``${file:/run/secrets/key}`` the content of a file, read at each call. No
            description, log or error shows them.

        model: a name for the model, such as `v3`, which identifies the model if the server does
            not. Change the name when the model changes.

    Raises:
        InvalidSpec: for a malformed or repeated address, a timeout that is not positive, and
            certificates without TLS.
    """

    kind: ClassVar[str] = "remote"
    billable: ClassVar[bool] = True
    counts_itself: ClassVar[bool] = True
    excluded_from_identity: ClassVar[frozenset[str]] = frozenset(
        {"timeout_seconds", "tls", "ca_file", "certificate_file", "key_file", "server_name"}
    )

    target: str | tuple[str, ...]
    oracle: str = ""
    timeout_seconds: float = 60.0
    dtype: Literal["float32", "uint8"] = "float32"
    tls: bool = False
    ca_file: str = ""
    certificate_file: str = ""
    key_file: str = ""
    server_name: str = ""
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    model: str = ""

    def __post_init__(self) -> None:
        addresses = self._addresses
        if not addresses or not all(addresses) or len(set(addresses)) < len(addresses):
            raise InvalidSpec(
                "target: expected an address, host:port, or several different ones, got "
                f"{self.target!r}",
                field="target",
            )
        if not 0 < self.timeout_seconds < math.inf:
            raise InvalidSpec(
                f"timeout_seconds: expected a positive number, got {self.timeout_seconds}",
                field="timeout_seconds",
            )
        if self.dtype not in ("float32", "uint8"):
            raise InvalidSpec(
                f"dtype: expected float32 or uint8, got {self.dtype!r}", field="dtype"
            )
        _ = self._endpoints  # made before threads can race for it

    def contents(self) -> Mapping[str, object]:
        """The server's statement about its model, else the name given here, else the address.

        Raises:
            NotFound, OracleError: as `describe`.
        """
        told = self._info.fingerprint
        if told:
            return {**_NO_ADDRESS, "model": Digest(told)}
        return _NO_ADDRESS if self.model else {}

    def describe(self) -> OracleInfo:
        """The servers' description of their oracle, requested once.

        Raises:
            NotFound: if a server has no such oracle.
            OracleError: if no server can be reached, the answer makes no sense, or servers
                describe different models.
        """
        return self._info

    def observe(self, stimuli: torch.Tensor, units: Sequence[Unit]) -> torch.Tensor:
        """As `Oracle.observe`; on the device of `stimuli`.

        Raises:
            OracleUnavailable: if no server can be reached.
            OracleTimeout: if a server does not answer in time.
            OracleFailed: if a server fails, or its answer does not fit the request.
        """
        info, addresses = self._info, self._addresses
        check_stimuli(info, stimuli)
        check_units(info, units)
        array = stimuli.detach().to("cpu", torch.float32).numpy()
        names = [str(unit) for unit in units]
        size = info.batch_size // len(addresses)
        pieces = [array[start : start + size] for start in range(0, len(array), size)]
        answers = at_once(lambda piece: self._observe(piece, names), pieces, len(addresses))
        joined = np.concatenate(answers) if answers else np.zeros((0, len(units)), np.float32)
        return torch.from_numpy(joined).to(stimuli.device)

    def close(self) -> None:
        """Closes the connections; the next call opens them again."""
        self._endpoints.close()

    @property
    def _addresses(self) -> tuple[str, ...]:
        return (self.target,) if isinstance(self.target, str) else tuple(self.target)

    @cached_property
    def _endpoints(self) -> Endpoints:
        access = Access(
            self.tls,
            self.ca_file,
            self.certificate_file,
            self.key_file,
            self.server_name,
            self.headers,
        )
        return Endpoints(self._addresses, access, self.oracle, self.timeout_seconds)

    @cached_property
    def _info(self) -> OracleInfo:
        info = self._endpoints.describe()
        return replace(
            info,
            kind=self.kind,
            capabilities=info.capabilities & FORWARD,
            batch_size=info.batch_size * len(self._addresses),
            wrappers=(),  # wrappers on the server are part of the model here
        )

    def _observe(self, stimuli: Array, units: list[str]) -> Array:
        longest = max(self._sent(stimuli), _LARGEST_NUMBER * len(stimuli) * len(units))
        streamed = longest > chunks.STREAM_ABOVE_BYTES

        def call(endpoint: Endpoint, metadata: Metadata) -> Array:
            if not streamed:
                return self._ask(endpoint, metadata, stimuli, units)
            if endpoint.address not in self._without_streams:
                try:
                    return self._ask(endpoint, metadata, stimuli, units, streamed=True)
                except grpc.RpcError as error:
                    if error.code() is not grpc.StatusCode.UNIMPLEMENTED:
                        raise
                    self._without_streams.add(endpoint.address)
            rows = max(len(stimuli) * chunks.STREAM_ABOVE_BYTES // longest, 1)
            pieces = (stimuli[start : start + rows] for start in range(0, len(stimuli), rows))
            answers = [self._ask(endpoint, metadata, piece, units) for piece in pieces]
            return np.concatenate(answers)

        return self._endpoints.reach(call)

    def _sent(self, stimuli: Array) -> int:
        return stimuli.nbytes if self.dtype == "float32" else stimuli.size

    @cached_property
    def _without_streams(self) -> set[str]:
        """Addresses of servers that do not implement ObserveStream, which is optional."""
        return set()

    def _ask(
        self,
        endpoint: Endpoint,
        metadata: Metadata,
        stimuli: Array,
        units: list[str],
        *,
        streamed: bool = False,
    ) -> Array:
        """The answer to one call, counted."""
        request = pb.ObserveRequest(oracle=self.oracle, units=units)
        expected, asked = (len(stimuli), len(units)), Accounting(calls=1, rows=len(stimuli))
        count(asked)
        try:
            if streamed:
                answer = self._stream(endpoint, metadata, request, stimuli, expected)
            else:
                small = stimuli if self.dtype == "float32" else to_uint8(stimuli)
                request.stimuli.CopyFrom(tensors.to_proto(small))
                message = endpoint.stub.Observe(
                    request, timeout=self.timeout_seconds, metadata=metadata
                )
                answer = tensors.from_proto(message.activations, field="activations")
        except grpc.RpcError as error:
            if _never_arrived(error, streamed):
                count(-asked)
            raise
        except InvalidInput as error:
            raise OracleFailed(
                f"oracle at {endpoint.address} sent no proper tensor: {error.message}"
            ) from error
        _check(answer.dtype.name, answer.shape, expected, endpoint)
        return answer if answer.dtype == np.float64 else answer.astype(np.float32)

    def _stream(
        self,
        endpoint: Endpoint,
        metadata: Metadata,
        request: pb.ObserveRequest,
        stimuli: Array,
        expected: tuple[int, int],
    ) -> Array:
        def check(header: Tensor) -> None:
            # Checked before the data of a wrong answer is read.
            _check("float", tuple(header.shape), expected, endpoint)

        outgoing = observing.outgoing(request, stimuli, self.dtype)
        answer = observing.method(endpoint.channel)(
            outgoing, timeout=self.timeout_seconds, metadata=metadata
        )
        try:
            return observing.incoming(answer, check)
        finally:
            answer.cancel()


def _never_arrived(error: grpc.RpcError, streamed: bool) -> bool:
    if streamed and error.code() is grpc.StatusCode.UNIMPLEMENTED:
        return True
    details = str(error.details())
    return not too_long(details) and any(words in details for words in _NEVER_ARRIVED)


def _check(
    dtype: str, shape: tuple[int, ...], expected: tuple[int, int], endpoint: Endpoint
) -> None:
    if shape != expected or not dtype.startswith("float"):
        raise OracleFailed(
            f"oracle at {endpoint.address} answered with {dtype} of shape {shape}; expected "
            f"float32 or float64 of shape {expected}, one row a stimulus and one column a unit"
        )
