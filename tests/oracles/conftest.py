"""What the tests of several oracles share: servers, programs, and nets as ONNX."""

from __future__ import annotations

import base64
import gzip
import io
import json
import shutil
import ssl
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import contextmanager, suppress
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import grpc
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import nn

from blackbox_am.core.units import Unit
from blackbox_am.oracles.simulated import Simulated
from blackbox_am.rpc import progress, tensors
from blackbox_am.v1 import open_inference_pb2 as oip
from blackbox_am.v1 import oracle_service_pb2 as pb
from blackbox_am.v1.oracle_service_pb2_grpc import (
    OracleServiceServicer,
    add_OracleServiceServicer_to_server,
)
from blackbox_am.zoo.nets import CifarResNet


class _Service(OracleServiceServicer):
    oracle = Simulated()

    def DescribeOracle(self, request, context):  # noqa: N802
        return progress.oracle_to_proto("simulated", self.oracle.describe())

    def Observe(self, request, context):  # noqa: N802
        stimuli = torch.tensor(tensors.from_proto(request.stimuli))
        units = [Unit.parse(address) for address in request.units]
        answer = self.oracle.observe(stimuli, units)
        return pb.ObserveResponse(activations=tensors.to_proto(answer.numpy()))


@pytest.fixture
def oracle_server() -> Iterator[str]:
    """Its address."""
    server = grpc.server(futures.ThreadPoolExecutor(2))
    add_OracleServiceServicer_to_server(_Service(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait()


@pytest.fixture(scope="session")
def export() -> Callable[..., bytes]:
    """`export(module, *stimulus_shape, rows=None)`: the module in eval mode as ONNX.

    The input is called `x`, the output `scores`; rows None leaves the first axis open.
    """

    def run(module: nn.Module, *stimulus_shape: int, rows: int | None = None) -> bytes:
        file = io.BytesIO()
        free = {} if rows else {"x": {0: "n"}, "scores": {0: "n"}}
        with warnings.catch_warnings():
            # It speaks of the newer exporter, which needs a package more for the same graph.
            warnings.simplefilter("ignore")
            torch.onnx.export(
                module.eval(),
                (torch.rand(rows or 2, *stimulus_shape),),
                file,
                dynamo=False,
                input_names=["x"],
                output_names=["scores"],
                dynamic_axes=free,
            )
        return file.getvalue()

    return run


JSON_PROGRAM = """
import json, sys
for line in sys.stdin:
    request = json.loads(line)
    rows = request["stimuli"]
    scores = [[sum(row), max(row), row[0] * row[-1]] for row in rows]
    print(json.dumps({"scores": scores}), flush=True)
"""


@pytest.fixture
def json_program(tmp_path: Path) -> list[str]:
    """The command of a program that answers sum, maximum and the product of the ends."""
    (tmp_path / "answers.py").write_text(JSON_PROGRAM)
    return [sys.executable, "-S", str(tmp_path / "answers.py")]


ASSETS = Path(__file__).parents[3] / "shared" / "assets"


@pytest.fixture
def resnet20() -> nn.Module:
    """ResNet-20 of the assets, 912 of whose answers to `cifar_test` are right."""
    weights = ASSETS / "cifar10_resnet20.safetensors"
    if not weights.is_file():
        pytest.skip(f"needs {weights.name}, which is not in {ASSETS}")
    model = CifarResNet((16, 32, 64), (3, 3, 3), shortcut="pad")
    # The same net under other names: the first layers and the last are called otherwise.
    other = {"conv1.": "stem.", "bn1.": "stem_bn.", "linear.": "head."}
    renamed = {}
    for key, value in load_file(weights).items():
        first = next((old for old in other if key.startswith(old)), None)
        renamed[other[first] + key.removeprefix(first) if first else key] = value
    model.load_state_dict(renamed, strict=False)
    return model.eval()


@pytest.fixture
def cifar_test() -> tuple[torch.Tensor, np.ndarray]:
    """1,000 test images of CIFAR-10 in [0, 1], (1000, 3, 32, 32), and their classes."""
    data = np.load(ASSETS / "cifar10_test_1000.npz")
    return torch.from_numpy(data["x"]).permute(0, 3, 1, 2).float() / 255, data["y"]


CLASSES = ("cat", "dog", "owl", "bee")
with torch.random.fork_rng():
    torch.manual_seed(0)
    NETWORK = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 4))


class Api(BaseHTTPRequestHandler):
    """A small network behind HTTP, with the answers and the faults that APIs have."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    seen: ClassVar[list[tuple[str, dict[str, str], bytes]]] = []

    def log_message(self, *args):
        pass

    @staticmethod
    def model(image: Image.Image | np.ndarray) -> list[float]:
        pixels = np.asarray(image, np.float32)
        if isinstance(image, Image.Image):
            pixels = pixels.transpose(2, 0, 1) / 255
        with torch.no_grad():
            return NETWORK(torch.tensor(pixels).unsqueeze(0)).softmax(1)[0].tolist()

    @classmethod
    def of_file(cls, data: bytes) -> list[float]:
        return cls.model(Image.open(io.BytesIO(data)).convert("RGB"))

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.seen.append((self.path, dict(self.headers), body))
        getattr(self, "on_" + self.path.split("?")[0].strip("/"))(body)

    def reply(self, answer, status=200, **headers):
        data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def on_scores(self, body):
        self.reply({"scores": self.of_file(base64.b64decode(json.loads(body)["image"]))})

    def on_floats(self, body):
        image = np.array(json.loads(body)["image"])
        self.reply({"scores": dict(zip(CLASSES, self.model(image), strict=True))})

    def on_bytes(self, body):
        image = np.array(json.loads(body)["image"]).transpose(2, 0, 1) / 255
        self.reply({"scores": self.model(image)})

    def on_batch(self, body):
        request = json.loads(body)
        assert request["signature"] == "serving"
        instances = [item["b64"].partition(",")[2] for item in request["instances"]]
        scores = [self.of_file(base64.b64decode(text)) for text in instances]
        self.reply({"predictions": [{"p": row} for row in scores]})

    def on_picky(self, body):
        if len(json.loads(body)["instances"]) > 3:
            self.reply(b"Payload Too Large", 413)
        else:
            self.on_batch(body)

    def on_top(self, body):
        scores = self.of_file(base64.b64decode(json.loads(body)["image"]))
        pairs = sorted(zip(CLASSES, scores, strict=True), key=lambda pair: -pair[1])[:2]
        classes = [{"name": name, "score": score} for name, score in pairs]
        self.reply({"result": {"classes": classes}})

    def on_label(self, body):
        scores = self.of_file(base64.b64decode(json.loads(body)["image"]))
        self.reply({"label": CLASSES[int(np.argmax(scores))], "index": int(np.argmax(scores))})

    def on_raw(self, body):
        self.reply({"scores": self.of_file(body)})

    def on_multipart(self, body):
        head = f"Content-Type: {self.headers['Content-Type']}\n\n".encode()
        parts = message_from_bytes(head + body).get_payload()
        found = {p.get_param("name", header="Content-Disposition"): p for p in parts}
        assert found["model"].get_payload(decode=True) == b"m-1"
        assert found["photo"].get_content_type() == "image/jpeg"
        self.reply({"scores": self.of_file(found["photo"].get_payload(decode=True))})

    def on_busy(self, body):
        self.reply(b"slow down", 429, Retry_After="7")

    def on_away(self, body):
        self.reply(b"", 503)

    def on_denied(self, body):
        self.reply(f"no such key: {self.headers['Authorization']}".encode(), 401)

    def on_large(self, body):
        self.reply(b"too large", 413)

    def on_broken(self, body):
        self.reply(b"Traceback ...", 500)

    def on_garbage(self, body):
        self.reply(b"<html>")

    def on_huge(self, body):
        self.send_response(200)
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        with suppress(OSError):  # nobody reads it to the end
            while True:
                self.wfile.write(b"[" * 2**16)

    def on_zipped(self, body):
        self.reply(gzip.compress(b"{}"), Content_Encoding="gzip")

    def on_slow(self, body):
        time.sleep(0.6)
        with suppress(OSError):
            self.reply({"scores": [1, 2, 3, 4]})

    five = threading.Barrier(5, timeout=60)

    def on_together(self, body):
        self.five.wait()  # none of five requests is answered before the last one is here
        self.reply({"scores": [1, 2, 3, 4]})

    def on_drip(self, body):
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        with suppress(OSError):
            for _ in range(12):
                time.sleep(0.1)
                self.wfile.write(b"[")

    def on_here(self, body):
        self.reply(b"", 308, Location="/scores")

    def on_round(self, body):
        self.reply(b"", 307, Location="/round")

    def on_elsewhere(self, body):
        self.reply(b"", 307, Location="http://other.example/scores?token=1")

    def on_moved(self, body):
        self.reply(b"", 302, Location="/scores")

    def on_hangup(self, body):
        self.close_connection = True


@contextmanager
def over_http(
    handler: type[BaseHTTPRequestHandler], context: ssl.SSLContext | None = None
) -> Iterator[int]:
    """Serves with `handler` on this machine, behind TLS with a context, and yields the port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.handle_error = lambda *args: None  # clients that turn away are the point
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


@contextmanager
def over_grpc(
    models: Inference, credentials: grpc.ServerCredentials | None = None, **options: int
) -> Iterator[int]:
    """Serves inference over gRPC, behind TLS with credentials, and yields the port."""
    pairs = [(f"grpc.{name}", value) for name, value in options.items()]
    server = grpc.server(futures.ThreadPoolExecutor(3), options=pairs)
    server.add_generic_rpc_handlers((_InferenceOverGrpc(models),))
    if credentials is None:
        port = server.add_insecure_port("127.0.0.1:0")
    else:
        port = server.add_secure_port("localhost:0", credentials)
    server.start()
    yield port
    server.stop(None).wait()


@pytest.fixture
def api() -> Iterator[str]:
    """Its address."""
    Api.seen.clear()
    with over_http(Api) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def requests_seen(api: str) -> list[tuple[str, dict[str, str], bytes]]:
    """Path, headers and body of each request that the API got."""
    return Api.seen


@pytest.fixture
def secure_api(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The address of the same API behind TLS, and the certificate that nobody else trusts."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs openssl")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    command = [openssl, "req", "-x509", *kind, *names, *files]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with over_http(Api, context) as port:
        yield f"https://localhost:{port}", certificate


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


class _InferenceOverGrpc(grpc.GenericRpcHandler):
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


class _InferenceOverHttp(Api):
    models: ClassVar[Inference]

    def do_GET(self):
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

    def do_POST(self):
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


@pytest.fixture
def inference() -> Inference:
    """What the inference servers serve, and what they have seen."""
    return Inference()


@pytest.fixture
def inference_over_grpc(inference: Inference) -> Iterator[str]:
    """Its address."""
    with over_grpc(inference) as port:
        yield f"127.0.0.1:{port}"


@pytest.fixture
def inference_over_http(inference: Inference) -> Iterator[str]:
    """Its address."""
    _InferenceOverHttp.models = inference
    with over_http(_InferenceOverHttp) as port:
        yield f"127.0.0.1:{port}"
