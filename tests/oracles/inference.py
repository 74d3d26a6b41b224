"""A server of the Open Inference Protocol over gRPC and HTTP, which answers and fails as told."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from typing import ClassVar

import grpc
import numpy as np
import torch
from torch import nn

from blackbox_am.v1 import open_inference_pb2 as oip
from tests.oracles.http_api import NETWORK, Api


@contextmanager
def over_grpc(
    models: Inference, credentials: grpc.ServerCredentials | None = None, **options: int
) -> Iterator[int]:
    """Serves inference over gRPC, behind TLS with credentials, and yields the port."""
    pairs = [(f"grpc.{name}", value) for name, value in options.items()]
    server = grpc.server(futures.ThreadPoolExecutor(3), options=pairs)
    server.add_generic_rpc_handlers((InferenceOverGrpc(models),))
    if credentials is None:
        port = server.add_insecure_port("127.0.0.1:0")
    else:
        port = server.add_secure_port("localhost:0", credentials)
    server.start()
    yield port
    server.stop(None).wait()


class Trouble(Exception):
    """What goes wrong on the inference server, over either way."""

    def __init__(
        self,
        code: grpc.StatusCode,
        status: int,
        said: str = "the server is in trouble",
        **headers: str,
    ) -> None:
        super().__init__(said)
        self.code, self.status, self.headers = code, status, headers


CODES = grpc.StatusCode

TROUBLES = {
    "busy": (CODES.UNAVAILABLE, 429, {"Retry_After": "7"}),
    "limited": (CODES.RESOURCE_EXHAUSTED, 429, {"Retry_After": "7"}),
    "full": (CODES.RESOURCE_EXHAUSTED, 413, {}),
    "away": (CODES.UNAVAILABLE, 503, {}),
    "broken": (CODES.INTERNAL, 500, {}),
    "denied": (CODES.UNAUTHENTICATED, 401, {}),
}

DTYPES = {"FP32": np.float32, "FP16": np.float16, "FP64": np.float64, "UINT8": np.uint8}


class Inference:
    """The models of a server of the Open Inference Protocol. A model's name says what it does.

    Attributes:
        seen: model, shape, datatype, wanted outputs and headers of each request for inference.
        extensions: what it says that it can do; None where it is behind a gateway that knows
            of models alone.
        classifier: the model `resnet`, for images of (3, 32, 32).
        says_unknown: which of `UNKNOWN` the model `nothing` is.
        gone: whether no model is there any more.
    """

    UNKNOWN: ClassVar = {
        "as most do": (CODES.NOT_FOUND, 404, "it is not here"),
        "in words, as a bug": (CODES.UNKNOWN, 500, "ModelNotFound: Model nothing not found"),
        "in words, as away": (CODES.UNAVAILABLE, 503, "unknown model: 'nothing' is not found"),
        "in words, as wrong": (CODES.INVALID_ARGUMENT, 400, "Model nothing does not exist."),
        "when asked for more": (CODES.NOT_FOUND, 404, "it is not here"),
    }

    def __init__(self) -> None:
        self.says_unknown = "as most do"
        self.gone = False
        self.classifier: nn.Module | None = None
        self.seen: list[tuple[str, tuple[int, ...], str, list[str], dict[str, str]]] = []
        self.extensions: list[str] | None = ["model_configuration", "binary_tensor_data"]

    def server(self) -> list[str]:
        if self.extensions is None:
            raise Trouble(CODES.UNIMPLEMENTED, 404)
        return self.extensions

    def find(self, name: str) -> None:
        if name == "nothing" or self.gone:
            code, status, said = self.UNKNOWN[self.says_unknown]
            raise Trouble(code, status, said)
        if name == "refused":
            raise Trouble(CODES.PERMISSION_DENIED, 403)

    def ready(self, name: str) -> bool:
        if name == "nothing" and self.says_unknown == "when asked for more":
            return False
        self.find(name)
        return name != "unready"

    def metadata(self, name: str) -> tuple[list, list]:
        self.find(name)
        if name == "resnet":
            return [("x", "FP32", [-1, 3, 32, 32])], [("scores", "FP32", [-1, 10])]
        datatype = {"pixels": "UINT8", "halves": "FP16", "doubles": "FP64", "words": "BYTES"}
        rows = {"rows4": 4, "single": None}.get(name, -1)
        first = [] if rows is None else [rows]
        image = [6, 6, 3] if name == "last" else [3, 6, 6]
        maps = [4, 4, 4] if name != "loose" else [4, -1, -1]
        inputs = [("images", datatype.get(name, "FP32"), first + image)]
        outputs = [("logits", "FP32", [*first, 4]), ("conv/maps", "FP32", first + maps)]
        if name == "words_too":
            outputs.append(("label", "BYTES", [-1, 1]))
        if name == "two":
            inputs.append(("masks", "FP32", [-1, 6, 6]))
        return ([], []) if name == "silent" else (inputs, outputs)

    def infer(
        self, name: str, array: np.ndarray, wanted: list[str], headers: dict[str, str], said: str
    ) -> dict[str, np.ndarray]:
        self.find(name)
        self.seen.append((name, array.shape, said, wanted, headers))
        if name in TROUBLES:
            code, status, more = TROUBLES[name]
            raise Trouble(code, status, **more)
        if name == "slow":
            time.sleep(0.7)
        if name == "resnet":
            with torch.no_grad():
                return {"scores": self.classifier(torch.tensor(array)).numpy()}
        images = array.astype(np.float32) / (255 if array.dtype == np.uint8 else 1)
        if name == "last":
            images = images.transpose(0, 3, 1, 2)
        with torch.no_grad():
            maps = NETWORK[:2](torch.tensor(images.reshape(-1, 3, 6, 6)))
            found = {"logits": NETWORK[2:](maps).numpy(), "conv/maps": maps.numpy()}
        if name == "last":
            found["conv/maps"] = found["conv/maps"].transpose(0, 2, 3, 1)
        kept = {key: values for key, values in found.items() if not wanted or key in wanted}
        return self.spoil(name, kept)

    @staticmethod
    def spoil(name: str, found: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        change = {
            "single": lambda values: values[0],
            "wider": lambda values: values.astype(np.float64),
            "row_short": lambda values: values[:-1],
        }.get(name, lambda values: values)
        found = {key: change(values) for key, values in found.items()}
        if name == "nan":
            found["logits"][0] = np.nan
        if name == "other_shape":
            found["logits"] = found["logits"][:, :3]
        if name == "other_name":
            found = {"logit": found["logits"]}
        return found


class InferenceOverGrpc(grpc.GenericRpcHandler):
    def __init__(self, models: Inference) -> None:
        self._models = models

    def service(self, details):
        method = details.method.removeprefix("/inference.GRPCInferenceService/")
        request = {
            "ModelReady": oip.InferenceModelReadyRequest,
            "ModelMetadata": oip.InferenceModelMetadataRequest,
            "ServerMetadata": oip.InferenceServerMetadataRequest,
            "ModelConfig": oip.InferenceModelConfigRequest,
            "ModelInfer": oip.InferenceRequest,
        }.get(method)
        if request is None:
            return None
        return grpc.unary_unary_rpc_method_handler(
            lambda message, context: self._answer(method, message, context),
            request.FromString,
            lambda message: message if isinstance(message, bytes) else message.SerializeToString(),
        )

    def _answer(self, method, request, context):
        try:
            return getattr(self, method)(request, context)
        except Trouble as trouble:
            context.set_trailing_metadata(
                [(k.lower().replace("_", "-"), v) for k, v in trouble.headers.items()]
            )
            said = dict(context.invocation_metadata()).get("authorization", "")
            context.abort(trouble.code, f"{trouble} {said}".strip())

    def ModelReady(self, request, context):  # noqa: N802
        return oip.InferenceModelReadyResponse(ready=self._models.ready(request.name))

    def ServerMetadata(self, request, context):  # noqa: N802
        return oip.InferenceServerMetadataResponse(extensions=self._models.server())

    def ModelConfig(self, request, context):  # noqa: N802
        return oip.InferenceModelConfigResponse(config={"max_batch_size": 3})

    def ModelMetadata(self, request, context):  # noqa: N802
        inputs, outputs = (
            [oip.InferenceTensorMetadata(name=n, datatype=d, shape=s) for n, d, s in tensors]
            for tensors in self._models.metadata(request.name)
        )
        return oip.InferenceModelMetadataResponse(inputs=inputs, outputs=outputs)

    def ModelInfer(self, request, context):  # noqa: N802
        (tensor,), (raw,) = request.inputs, request.raw_input_contents
        name = request.model_name
        array = np.frombuffer(raw, DTYPES[tensor.datatype]).reshape(tensor.shape)
        wanted = [output.name for output in request.outputs]
        headers = dict(context.invocation_metadata())
        found = self._models.infer(name, array, wanted, headers, tensor.datatype)
        if name == "garbage":
            return b"<html>"
        answer = oip.InferenceResponse(model_name=name)
        for key, values in found.items():
            datatype = "FP64" if values.dtype == np.float64 else "FP32"
            output = answer.outputs.add(name=key, datatype=datatype, shape=values.shape)
            if name == "numbers":
                output.contents.fp32_contents.extend(values.ravel().tolist())
            else:
                answer.raw_output_contents.append(values.tobytes())
        if name == "short":
            answer.raw_output_contents[0] = answer.raw_output_contents[0][:-4]
        if name == "huge":
            answer.raw_output_contents[0] = bytes(2**26)
        if name == "lacking":
            del answer.raw_output_contents[0]
            answer.raw_output_contents.extend([b"", b""])
        return answer


class InferenceOverHttp(Api):
    models: ClassVar[Inference]

    def do_GET(self):  # noqa: N802  # as the handler calls it
        parts = self.path.split("/")[2:]
        try:
            self._get(parts)
        except Trouble as trouble:
            self.reply({"error": str(trouble)}, trouble.status)

    def _get(self, parts):
        if parts == []:
            return self.reply({"name": "ours", "extensions": self.models.server()})
        name = parts[1]
        if parts[-1] == "ready":
            if self.models.ready(name):
                return self.reply({"ready": True})
            return self.reply({"error": "not ready"}, 400 if name == "nothing" else 503)
        if parts[-1] == "config":
            return self.reply({"max_batch_size": 3})
        inputs, outputs = (
            [{"name": n, "datatype": d, "shape": s} for n, d, s in tensors]
            for tensors in self.models.metadata(name)
        )
        if name == "odd":
            inputs[0]["shape"] = "many"
        return self.reply({"name": name, "inputs": inputs, "outputs": outputs})

    def do_POST(self):  # noqa: N802  # as the handler calls it
        body = self.rfile.read(int(self.headers["Content-Length"]))
        name = self.path.split("/")[3]
        if name == "garbage":
            return self.reply(b"<html>")
        if name == "huge":
            return self.on_huge(body)
        if name == "elsewhere":
            return self.on_elsewhere(body)
        try:
            self._infer(name, body)
        except Trouble as trouble:
            said = self.headers.get("Authorization", "")
            self.reply({"error": f"{trouble} {said}"}, trouble.status, **trouble.headers)

    def _infer(self, name, body):
        length = int(self.headers.get("Inference-Header-Content-Length", len(body)))
        request = json.loads(body[:length])
        (tensor,) = request["inputs"]
        dtype = DTYPES[tensor["datatype"]]
        binary = "data" not in tensor
        if binary:
            assert tensor["parameters"]["binary_data_size"] == len(body) - length
            array = np.frombuffer(body[length:], dtype)
        else:
            array = np.array(tensor["data"], dtype)
        wanted = [output["name"] for output in request.get("outputs", ())]
        found = self.models.infer(
            name, array.reshape(tensor["shape"]), wanted, dict(self.headers), tensor["datatype"]
        )
        outputs, tail = [], b""
        for key, values in found.items():
            datatype = "FP64" if values.dtype == np.float64 else "FP32"
            output = {"name": key, "datatype": datatype, "shape": values.shape}
            if binary and name != "numbers":
                output["parameters"] = {"binary_data_size": values.nbytes}
                tail += values.tobytes()
            else:
                output["data"] = values.ravel().tolist()
            outputs.append(output)
        if name == "short":
            tail = tail[:-4]
        if name == "lacking":
            outputs[0].pop("parameters")
        head = json.dumps({"outputs": outputs}).encode()
        more = {"Inference-Header-Content-Length": str(len(head))} if tail else {}
        self.reply(head + tail, **more)
