"""What the tests of several oracles share: a server with one, and nets as ONNX."""

import io
import sys
import warnings
from collections.abc import Callable, Iterator
from concurrent import futures
from pathlib import Path

import grpc
import pytest
import torch
from torch import nn

from blackbox_am.core.units import Unit
from blackbox_am.oracles.simulated import Simulated
from blackbox_am.rpc import progress, tensors
from blackbox_am.v1 import oracle_service_pb2 as pb
from blackbox_am.v1.oracle_service_pb2_grpc import (
    OracleServiceServicer,
    add_OracleServiceServicer_to_server,
)


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
