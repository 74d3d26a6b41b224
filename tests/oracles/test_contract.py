"""The contract of oracles, over every registered one."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from snntorch import Leaky
from torch import nn

from blackbox_am import plugins
from blackbox_am.core.oracle import Oracle
from blackbox_am.oracles.function import Function
from blackbox_am.oracles.grpc.remote import Remote
from blackbox_am.oracles.http import Http
from blackbox_am.oracles.inference_protocol import InferenceProtocol
from blackbox_am.oracles.onnx import Onnx
from blackbox_am.oracles.process.subprocess import Subprocess
from blackbox_am.oracles.simulated import Simulated
from blackbox_am.oracles.sklearn import Sklearn
from blackbox_am.oracles.snn import Snn
from blackbox_am.oracles.torch.torch_module import TorchModule
from blackbox_am.testing.oracles import OracleContract


def _net() -> Oracle:
    torch.manual_seed(0)
    layers = (nn.Conv2d(3, 6, 3), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(216, 5))
    return TorchModule(nn.Sequential(*layers), (3, 8, 8), (0.5,), (0.25,), device="cpu")


def _onnx(request: pytest.FixtureRequest) -> Oracle:
    net = _net()
    assert isinstance(net, TorchModule)
    return Onnx(request.getfixturevalue("export")(net.model, 3, 8, 8), threads=1)


def _function(stimuli: np.ndarray) -> dict[str, np.ndarray]:
    return {"rows": stimuli.mean(3), "scores": stimuli.reshape(len(stimuli), -1)[:, :4] ** 2}


def _estimator() -> Oracle:
    rows = np.random.default_rng(0).random((60, 12))
    return Sklearn(LogisticRegression().fit(rows, np.arange(60) % 3), (3, 2, 2))


def _spiking() -> Oracle:
    torch.manual_seed(0)
    layers = (nn.Conv2d(3, 4, 3), Leaky(0.9, init_hidden=True), nn.Flatten(), nn.Linear(144, 3))
    net = nn.Sequential(*layers, Leaky(0.8, threshold=0.3, init_hidden=True))
    return Snn(net, (3, 8, 8), 12, mean=(0.2,), std=(0.3,), device="cpu")


EXAMPLES: dict[str, Callable[[pytest.FixtureRequest], Oracle]] = {
    "function": lambda request: Function(_function, (3, 8, 8)),
    "http": lambda request: Http(request.getfixturevalue("api") + "/scores", (3, 6, 6), units=4),
    "inference_protocol": lambda request: InferenceProtocol(
        request.getfixturevalue("inference_over_grpc"), "net"
    ),
    "onnx": _onnx,
    "remote": lambda request: Remote(request.getfixturevalue("oracle_server")),
    "simulated": lambda request: Simulated(),
    "sklearn": lambda request: _estimator(),
    "snn": lambda request: _spiking(),
    "subprocess": lambda request: Subprocess(
        tuple(request.getfixturevalue("json_program")), (3, 4, 4), units=3
    ),
    "torch_module": lambda request: _net(),
}


class TestRegistered(OracleContract):
    @pytest.fixture(params=plugins.oracles.names())
    def oracle(self, request: pytest.FixtureRequest) -> Iterator[Oracle]:
        if request.param not in EXAMPLES:
            pytest.fail(f"oracle {request.param!r} has no example: add one to EXAMPLES here")
        example = EXAMPLES[request.param](request)
        assert type(example) is plugins.oracles.get(request.param)
        assert example.kind == request.param
        yield example
        example.close()


class TestSimulatedWithGradients(OracleContract):
    @pytest.fixture
    def oracle(self) -> Oracle:
        return Simulated(gradients=True)


class TestSimulatedWithNoise(OracleContract):
    @pytest.fixture
    def oracle(self) -> Oracle:
        return Simulated(noise=0.1)


class TestInferenceProtocolOverHttp(OracleContract):
    @pytest.fixture
    def oracle(self, inference_over_http: str) -> Iterator[Oracle]:
        oracle = InferenceProtocol(inference_over_http, "net", protocol="http")
        yield oracle
        oracle.close()
