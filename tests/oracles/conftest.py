"""What the tests of several oracles share: servers, programs, and nets as ONNX."""

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
from contextlib import suppress
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


@pytest.fixture
def api() -> Iterator[str]:
    """Its address."""
    Api.seen.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


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
    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *args: None  # clients that turn away are the point
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"https://localhost:{server.server_port}", certificate
    server.shutdown()
    thread.join()
    server.server_close()
