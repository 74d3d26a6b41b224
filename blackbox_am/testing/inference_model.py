"""A gRPC server of the Open Inference Protocol with one model, for tests and benchmarks.

The server implements the part of the protocol that a client needs to call one model with raw
tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import numpy as np
from numpy.typing import NDArray

from blackbox_am.v1 import open_inference_pb2 as pb

MODEL = "model"
OUTPUT = "scores"
_SERVICE = "/inference.GRPCInferenceService/"
_UNLIMITED = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))

Floats = NDArray[np.float32]
Answer = Callable[[Floats], Floats]


@contextmanager
def inference_model(answer: Answer, shape: tuple[int, ...], units: int) -> Iterator[str]:
    """Run a server with the model `MODEL` inside the context, and give its address (host:port).

    Args:
        answer: function from stimuli (N, *shape) float32 to scores (N, units); called in threads.
        shape: shape of one stimulus.
        units: number of scores of a stimulus.
    """
    server = grpc.server(ThreadPoolExecutor(4), (_Model(answer, shape, units),), options=_UNLIMITED)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()


class _Model(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc has no types
    def __init__(self, answer: Answer, shape: tuple[int, ...], units: int) -> None:
        self._answer = answer
        self._shape, self._units = shape, units

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        methods: dict[str, tuple[Any, Any]] = {
            "ServerMetadata": (pb.InferenceServerMetadataRequest, self._server),
            "ModelReady": (pb.InferenceModelReadyRequest, self._ready),
            "ModelMetadata": (pb.InferenceModelMetadataRequest, self._metadata),
            "ModelInfer": (pb.InferenceRequest, self._infer),
        }
        found = methods.get(details.method.removeprefix(_SERVICE))
        if found is None:
            return None
        request, method = found
        return grpc.unary_unary_rpc_method_handler(
            method, request.FromString, lambda message: message.SerializeToString()
        )

    def _server(self, *_: Any) -> pb.InferenceServerMetadataResponse:
        return pb.InferenceServerMetadataResponse(name=__name__)

    def _ready(self, request: pb.InferenceModelReadyRequest, _: Any) -> Any:
        return pb.InferenceModelReadyResponse(ready=request.name == MODEL)

    def _metadata(
        self, request: pb.InferenceModelMetadataRequest, context: grpc.ServicerContext
    ) -> pb.InferenceModelMetadataResponse:
        _check(request.name, context)
        of = pb.InferenceTensorMetadata
        return pb.InferenceModelMetadataResponse(
            name=MODEL,
            inputs=[of(name="stimuli", datatype="FP32", shape=(-1, *self._shape))],
            outputs=[of(name=OUTPUT, datatype="FP32", shape=(-1, self._units))],
        )

    def _infer(
        self, request: pb.InferenceRequest, context: grpc.ServicerContext
    ) -> pb.InferenceResponse:
        _check(request.model_name, context)
        sent = np.frombuffer(request.raw_input_contents[0], np.float32)
        scores = self._answer(sent.reshape(request.inputs[0].shape)).astype(np.float32)
        answer = pb.InferenceResponse(model_name=MODEL, raw_output_contents=[scores.tobytes()])
        answer.outputs.add(name=OUTPUT, datatype="FP32", shape=scores.shape)
        return answer


def _check(name: str, context: grpc.ServicerContext) -> None:
    """Refuse other names with Triton's error message."""
    if name != MODEL:
        context.abort(
            grpc.StatusCode.NOT_FOUND, f"Request for unknown model: {name!r} is not found"
        )
