"""What the tests of several oracles share: servers, programs, and nets as ONNX."""

from __future__ import annotations

import io
import shutil
import ssl
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from concurrent import futures
from pathlib import Path

import grpc
import numpy as np
import pytest
import torch
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
from tests.oracles.http_api import Api, over_http
from tests.oracles.inference import Inference, InferenceOverHttp, over_grpc


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
    InferenceOverHttp.models = inference
    with over_http(InferenceOverHttp) as port:
        yield f"127.0.0.1:{port}"
