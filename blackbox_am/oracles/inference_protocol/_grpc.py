"""The Open Inference Protocol over gRPC."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import grpc
from google.protobuf.message import Message

from blackbox_am.core.metering import count
from blackbox_am.core.types import Accounting
from blackbox_am.errors import (
    BlackboxError,
    MessageTooLarge,
    NotFound,
    OracleFailed,
    OracleTimeout,
    OracleUnavailable,
    OutOfMemory,
)
from blackbox_am.oracles.grpc._access import Access
from blackbox_am.oracles.grpc._endpoints import too_long
from blackbox_am.oracles.http._failure import retry_after
from blackbox_am.oracles.inference_protocol._protocol import (
    DATATYPES,
    Addressee,
    Array,
    Headers,
    Metadata,
    Question,
    TensorInfo,
    from_numbers,
    from_raw,
)
from blackbox_am.rpc.status import from_rpc_error
from blackbox_am.v1 import open_inference_pb2 as pb

M = TypeVar("M", bound=Message)

_SERVICE = "/inference.GRPCInferenceService/"

_NEVER_ARRIVED = (
    "failed to connect to all addresses",
    "DNS resolution failed",
    "eceived message larger than max",
)
"""Parts of gRPC's messages about calls that never reached the model."""

_CONTENTS = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
}


class GrpcTransport:
    """As `Transport`, by the protocol's own method paths.

    Tensors are sent as raw bytes. No generated stub is used, so that the messages can have other
    names than those of other clients in this process.

    Args:
        address: host:port.
        access: how to connect.
        to: the model.
    """

    def __init__(self, address: str, access: Access, to: Addressee) -> None:
        self._address = address
        self._access = access
        self._to = to
        self._lock = threading.Lock()
        self._channel: grpc.Channel | None = None
        self._methods: dict[str, Callable[..., Any]] = {}

    def ready(self, headers: Headers) -> bool:
        request = pb.InferenceModelReadyRequest(name=self._to.model, version=self._to.version)
        answer = self._call("ModelReady", request, pb.InferenceModelReadyResponse, headers)
        return answer.ready

    def metadata(self, headers: Headers) -> Metadata:
        request = pb.InferenceModelMetadataRequest(name=self._to.model, version=self._to.version)
        answer = self._call("ModelMetadata", request, pb.InferenceModelMetadataResponse, headers)
        return Metadata(_tensors(answer.inputs), _tensors(answer.outputs))

    def most_rows(self, headers: Headers) -> int | None:
        request = pb.InferenceServerMetadataRequest()
        try:
            server = self._call(
                "ServerMetadata", request, pb.InferenceServerMetadataResponse, headers
            )
        except (OracleFailed, NotFound):  # a gateway may serve only the calls for models
            return None
        if "model_configuration" not in server.extensions:
            return None
        asked = pb.InferenceModelConfigRequest(name=self._to.model, version=self._to.version)
        answer = self._call("ModelConfig", asked, pb.InferenceModelConfigResponse, headers)
        return answer.config.max_batch_size or None

    def infer(self, question: Question, headers: Headers) -> dict[str, Array]:
        request = pb.InferenceRequest(model_name=self._to.model, model_version=self._to.version)
        tensor = request.inputs.add(name=question.name, datatype=question.datatype)
        tensor.shape.extend(question.array.shape)
        request.raw_input_contents.append(question.array.tobytes())
        for name in question.outputs:
            request.outputs.add(name=name)
        for name, value in (question.parameters or {}).items():
            _set(request.parameters[name], value)
        asked = Accounting(calls=1, rows=question.rows)
        count(asked)
        never_arrived = partial(count, -asked)
        answer = self._call("ModelInfer", request, pb.InferenceResponse, headers, never_arrived)
        return _outputs(answer)

    def close(self) -> None:
        with self._lock:
            channel, self._channel = self._channel, None
            self._methods.clear()
        if channel is not None:
            channel.close()

    def _call(
        self,
        method: str,
        request: Message,
        answer: type[M],
        headers: Headers,
        never_arrived: Callable[[], None] | None = None,
    ) -> M:
        metadata = tuple((name.lower(), value) for name, value in headers.items())
        try:
            found: M = self._method(method, type(request), answer)(
                request, timeout=self._to.timeout_seconds, metadata=metadata
            )
        except grpc.RpcError as error:
            details = str(error.details())
            arrived = too_long(details) or not any(words in details for words in _NEVER_ARRIVED)
            if never_arrived and not arrived:
                never_arrived()
            raise self._problem(error, method) from error
        return found

    def _method(self, name: str, request: type[Message], answer: type[M]) -> Callable[..., Any]:
        with self._lock:
            if self._channel is None:
                self._channel = self._access.channel(self._address, self._to.max_answer_bytes)
            if name not in self._methods:
                self._methods[name] = self._channel.unary_unary(
                    _SERVICE + name,
                    request_serializer=request.SerializeToString,
                    response_deserializer=answer.FromString,
                )
            return self._methods[name]

    def _problem(self, error: grpc.RpcError, method: str) -> BlackboxError:
        code, details = error.code(), str(error.details() or "")
        said = f"it answered {code.name} to {method}: {details[:400] or 'nothing more'}"
        if code is grpc.StatusCode.NOT_FOUND or self._to.is_unknown(details[:400]):
            return self._to.unknown(said)
        match code:
            case grpc.StatusCode.DEADLINE_EXCEEDED:
                return OracleTimeout(
                    f"it did not answer within {self._to.timeout_seconds:g} s; raise "
                    "timeout_seconds, or see what keeps it busy"
                )
            case grpc.StatusCode.RESOURCE_EXHAUSTED if "larger than max" in details:
                if too_long(details):
                    return OracleFailed(
                        f"it answered with more than {self._to.max_answer_bytes} bytes; raise "
                        "max_answer_bytes if that is right"
                    )
                return MessageTooLarge(f"{said}; give the oracle a smaller batch_size")
            case grpc.StatusCode.UNAVAILABLE | grpc.StatusCode.CANCELLED:
                meaning = self._access.meaning(details)
                hint = meaning or "see whether it runs and the target is right"
                return OracleUnavailable(f"{said}; {hint}", retry_after=_wait(error))
            case grpc.StatusCode.RESOURCE_EXHAUSTED:
                wait = _wait(error)
                if wait is not None:
                    return OracleUnavailable(
                        f"{said}; it says to come back in {wait:g} s", retry_after=wait
                    )
                return OutOfMemory(f"{said}; give the oracle a smaller batch_size")
            case grpc.StatusCode.UNAUTHENTICATED | grpc.StatusCode.PERMISSION_DENIED:
                return OracleFailed(f"{said}; see whether the headers hold the right secret")
            case grpc.StatusCode.UNIMPLEMENTED:
                return OracleFailed(f"{said}; see whether the Open Inference Protocol is at target")
        return OracleFailed(said)


def _wait(error: grpc.RpcError) -> float | None:
    """Seconds to wait, from the server's status or a `retry-after` header."""
    for key, value in error.trailing_metadata() or ():
        if key == "retry-after":
            return retry_after(
                value if isinstance(value, str) else value.decode("ascii", "replace")
            )
    return from_rpc_error(error).retry_after


def _tensors(tensors: Sequence[pb.InferenceTensorMetadata]) -> tuple[TensorInfo, ...]:
    return tuple(TensorInfo(t.name, t.datatype, tuple(t.shape)) for t in tensors)


def _outputs(answer: pb.InferenceResponse) -> dict[str, Array]:
    raw = answer.raw_output_contents
    if raw and len(raw) != len(answer.outputs):
        raise OracleFailed(
            f"it answered with {len(answer.outputs)} outputs and the bytes of {len(raw)}"
        )
    found = {}
    for index, output in enumerate(answer.outputs):
        if output.datatype not in DATATYPES:
            continue
        if raw:
            array = from_raw(output.name, output.datatype, output.shape, raw[index])
        else:
            field = _CONTENTS.get(output.datatype)
            numbers = getattr(output.contents, field) if field else ()
            array = from_numbers(output.name, output.datatype, output.shape, numbers)
        found[output.name] = array
    return found


def _set(parameter: pb.InferenceParameter, value: bool | int | str) -> None:
    if isinstance(value, bool):
        parameter.bool_param = value
    elif isinstance(value, int):
        parameter.int64_param = value
    else:
        parameter.string_param = value
