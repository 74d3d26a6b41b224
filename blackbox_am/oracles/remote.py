"""An oracle on another server, in any language: whoever implements `OracleService`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Literal, TypeVar

import grpc
import numpy as np
import torch
from numpy.typing import NDArray

from blackbox_am.core.metering import count
from blackbox_am.core.oracle import Oracle, check_stimuli, check_units
from blackbox_am.core.tensors import to_uint8
from blackbox_am.core.types import Accounting, Capability, OracleInfo
from blackbox_am.core.units import Unit
from blackbox_am.errors import (
    BlackboxError,
    InvalidInput,
    InvalidSpec,
    OracleFailed,
    OracleTimeout,
    OracleUnavailable,
    ServerError,
    ServerUnavailable,
    Unsupported,
)
from blackbox_am.rpc import chunks, observing, progress, tensors
from blackbox_am.rpc.status import from_rpc_error
from blackbox_am.v1 import oracle_service_pb2 as pb
from blackbox_am.v1.oracle_service_pb2_grpc import OracleServiceStub

Array = NDArray[Any]
R = TypeVar("R")

_NEVER_ARRIVED = (
    "failed to connect to all addresses",
    "DNS resolution failed",
    "larger than max",
)
"""What gRPC says where the oracle saw nothing of a call: no connection, or refused at once."""


@dataclass(frozen=True)
class Remote(Oracle):
    """A model behind `blackbox_am.v1.OracleService`.

    Stimuli travel as float32, to the last bit, or as uint8, a quarter of that. It answers at
    capability MAPS at most: gradients do not travel. Batches above 2 MiB are streamed.

    Attributes:
        target: address of the server, `host:port`.
        oracle: its name there; may be empty where the server has one.
        timeout_seconds: how long one call may take.
        dtype: what stimuli travel as: `float32`, or `uint8` rounded to 1/255.

    Raises:
        InvalidSpec: for an empty address, or a timeout that is not positive.
    """

    kind: ClassVar[str] = "remote"
    metered: ClassVar[bool] = True
    counts_itself: ClassVar[bool] = True
    incidental: ClassVar[frozenset[str]] = frozenset({"timeout_seconds"})

    target: str
    oracle: str = ""
    timeout_seconds: float = 60.0
    dtype: Literal["float32", "uint8"] = "float32"

    def __post_init__(self) -> None:
        if not self.target:
            raise InvalidSpec("target: expected an address, host:port, got none", field="target")
        if not 0 < self.timeout_seconds < math.inf:
            raise InvalidSpec(
                f"timeout_seconds: expected a positive number, got {self.timeout_seconds}",
                field="timeout_seconds",
            )
        if self.dtype not in ("float32", "uint8"):
            raise InvalidSpec(
                f"dtype: expected float32 or uint8, got {self.dtype!r}", field="dtype"
            )

    def describe(self) -> OracleInfo:
        """What the server says of its oracle, asked once.

        Raises:
            NotFound: where the server has no such oracle.
            OracleError: where it cannot be asked, or its answer makes no sense.
        """
        return self._info

    def observe(self, stimuli: torch.Tensor, units: Sequence[Unit]) -> torch.Tensor:
        """As `Oracle.observe`; on the device of `stimuli`.

        Raises:
            OracleUnavailable: where the server cannot be reached.
            OracleTimeout: where it does not answer in time.
            OracleFailed: where it fails, or answers with something else than was asked.
        """
        check_stimuli(self._info, stimuli)
        check_units(self._info, units)
        array = stimuli.detach().to("cpu", torch.float32).numpy()
        names = [str(unit) for unit in units]
        size = self._info.batch_size
        pieces = [
            self._observe(array[start : start + size], names)
            for start in range(0, len(array), size)
        ]
        joined = np.concatenate(pieces) if pieces else np.zeros((0, len(units)), np.float32)
        return torch.from_numpy(joined).to(stimuli.device)

    def close(self) -> None:
        """Closes the connection."""
        connection = vars(self).pop("_connection", None)
        if connection is not None:
            connection[0].close()

    @cached_property
    def _info(self) -> OracleInfo:
        request = pb.DescribeOracleRequest(oracle=self.oracle)
        try:
            answer = self._stub.DescribeOracle(request, timeout=self.timeout_seconds)
            info = progress.oracle_from_proto(answer)
        except grpc.RpcError as error:
            raise self._problem(error) from error
        except InvalidInput as error:
            raise OracleFailed(f"oracle at {self.target}: {error.message}") from error
        return replace(info, kind=self.kind, capability=min(info.capability, Capability.MAPS))

    @cached_property
    def _connection(self) -> tuple[grpc.Channel, OracleServiceStub]:
        unlimited = (
            ("grpc.max_receive_message_length", -1),
            ("grpc.max_send_message_length", -1),
            ("grpc.max_reconnect_backoff_ms", 2000),
        )
        channel = grpc.insecure_channel(self.target, options=unlimited)
        return channel, OracleServiceStub(channel)

    @property
    def _stub(self) -> OracleServiceStub:
        return self._connection[1]

    def _observe(self, stimuli: Array, units: list[str]) -> Array:
        request = pb.ObserveRequest(oracle=self.oracle, units=units)
        asked = Accounting(calls=1, rows=len(stimuli))
        count(asked)
        size = stimuli.nbytes if self.dtype == "float32" else stimuli.size
        try:
            if size > chunks.STREAM_ABOVE_BYTES:
                answer = self._stream(request, stimuli)
            else:
                sent = stimuli if self.dtype == "float32" else to_uint8(stimuli)
                request.stimuli.CopyFrom(tensors.to_proto(sent))
                message = self._stub.Observe(request, timeout=self.timeout_seconds)
                answer = tensors.from_proto(message.activations, field="activations")
        except grpc.RpcError as error:
            if any(words in str(error.details()) for words in _NEVER_ARRIVED):
                count(-asked)
            raise self._problem(error) from error
        except InvalidInput as error:
            raise OracleFailed(
                f"oracle at {self.target} sent no proper tensor: {error.message}"
            ) from error
        expected = (len(stimuli), len(units))
        if answer.shape != expected or answer.dtype.kind != "f":
            raise OracleFailed(
                f"oracle at {self.target} answered with {answer.dtype.name} of shape "
                f"{answer.shape}; expected float32 of shape {expected}, one row a stimulus and "
                "one column a unit"
            )
        return answer.astype(np.float32)

    def _stream(self, request: pb.ObserveRequest, stimuli: Array) -> Array:
        method = observing.method(self._connection[0])
        parts = observing.outgoing(request, stimuli, self.dtype)
        return observing.incoming(method(parts, timeout=self.timeout_seconds))

    def _problem(self, error: grpc.RpcError) -> BlackboxError:
        """The error to raise for a failed call: in a study, the far server is an oracle."""
        if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
            return OracleTimeout(
                f"oracle at {self.target} did not answer within {self.timeout_seconds:g} s; "
                "raise timeout_seconds, or see what keeps it busy"
            )
        problem = from_rpc_error(error, f"oracle at {self.target}")
        if isinstance(problem, ServerUnavailable):
            return OracleUnavailable(problem.message)
        if isinstance(problem, (ServerError, Unsupported)):
            return OracleFailed(f"oracle at {self.target}: {problem.message}")
        return problem
