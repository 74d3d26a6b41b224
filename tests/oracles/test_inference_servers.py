"""The oracle on real servers, each in an environment of its own, made at the first run."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch

from blackbox_am.core.capability import FORWARD
from blackbox_am.core.metering import metering
from blackbox_am.core.types import Accounting
from blackbox_am.core.units import Unit
from blackbox_am.errors import (
    InvalidSpec,
    MessageTooLarge,
    NotFound,
    OracleFailed,
    OracleUnavailable,
    Unsupported,
)
from blackbox_am.oracles.inference_protocol import InferenceProtocol
from blackbox_am.oracles.wrappers.delivery.halving import Halving
from blackbox_am.testing.inference_servers import network
from blackbox_am.testing.inference_servers.environments import PACKAGES
from blackbox_am.testing.inference_servers.server import InferenceServer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

On = Callable[..., InferenceProtocol]

X = torch.rand(70, *network.SHAPE, generator=torch.Generator().manual_seed(1))
UNITS = [Unit("scores", 3), Unit("maps", 2, (1, 5)), Unit("scores", 0), Unit("maps", 1)]
SENT = {
    "FP32": lambda x: x.numpy(),
    "FP16": lambda x: x.numpy().astype(np.float16),
    "UINT8": lambda x: np.rint(x.numpy() * 255).astype(np.uint8),
}


@pytest.fixture(scope="module", params=list(PACKAGES))
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[InferenceServer]:
    try:
        made = InferenceServer(request.param, tmp_path_factory.mktemp(request.param))
    except Unsupported as error:
        pytest.skip(str(error))
    with made:
        yield made


@pytest.fixture(params=["grpc", "http"])
def protocol(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def on(server: InferenceServer) -> Iterator[On]:
    """`on(protocol, model, **parameters)`: an oracle on the server."""
    opened = []

    def make(protocol: str, model: str, **more: object) -> InferenceProtocol:
        if server.kind == "kserve" and protocol == "http":
            more = {"binary": True, **more}  # it takes bytes, and does not say so
        address = getattr(server, protocol)
        opened.append(InferenceProtocol(address, model, protocol=protocol, **more))
        return opened[-1]

    yield make
    for oracle in opened:
        oracle.close()


def expected(stimuli: torch.Tensor, datatype: str = "FP32") -> torch.Tensor:
    found = network.answers(SENT[datatype](stimuli))
    scores, maps = found["scores"], found["maps"]
    columns = (scores[:, 3], maps[:, 2, 1, 5], scores[:, 0], maps[:, 1].mean((1, 2)))
    return torch.from_numpy(np.stack(columns, 1))


@pytest.mark.parametrize("model", list(network.MODELS))
def test_every_datatype(on: On, server: InferenceServer, protocol: str, model: str) -> None:
    oracle = on(protocol, model)
    info = oracle.describe()
    assert info.stimulus_shape == network.SHAPE
    assert info.capabilities == FORWARD
    assert {layer.name: layer.shape for layer in info.layers} == network.OUTPUTS
    most = network.MOST_ROWS if server.kind == "triton" else 64
    assert info.batch_size == most
    with metering() as meter:
        answer = oracle.observe(X, UNITS)
    torch.testing.assert_close(answer, expected(X, network.MODELS[model]), rtol=1e-5, atol=1e-5)
    assert meter.total == Accounting(calls=-(-70 // most), rows=70)


def test_numbers_in_json(on: On) -> None:
    oracle = on("http", "floats", binary=False)
    torch.testing.assert_close(oracle.observe(X[:3], UNITS), expected(X[:3]), rtol=1e-5, atol=1e-5)


def test_what_is_not_there(on: On, server: InferenceServer, protocol: str) -> None:
    unknown = "it has no model 'nothing': it answered .*; give the name of a model that it serves"
    with pytest.raises(NotFound, match=unknown):
        on(protocol, "nothing").describe()
    # Over gRPC KServe passes over versions; over HTTP it says that it has none.
    if server.kind != "kserve":
        with pytest.raises(NotFound, match="it has no model 'floats' in version '77'"):
            on(protocol, "floats", version="77").describe()
    oracle = on(protocol, "floats", outputs=("score",))
    with pytest.raises(InvalidSpec, match="did you mean 'scores'"):
        oracle.describe()


def test_a_batch_that_is_too_large(on: On, server: InferenceServer, protocol: str) -> None:
    rows = torch.rand(1200, *network.SHAPE)  # 14 MB
    if server.kind == "triton":
        with pytest.raises(InvalidSpec, match="takes 32 rows in a request at most, got 1200"):
            on(protocol, "floats", batch_size=1200).describe()
        return
    oracle = on(protocol, "floats", batch_size=1200)
    if protocol == "http":  # neither has a limit there
        assert oracle.observe(rows, UNITS).shape == (1200, 4)
        return
    with pytest.raises(MessageTooLarge, match="smaller batch_size"):
        oracle.observe(rows, UNITS)
    with metering() as meter:
        answer = Halving(oracle).observe(rows, UNITS)
    torch.testing.assert_close(answer, expected(rows), rtol=1e-5, atol=1e-5)
    assert meter.total.rows == 1200


def test_an_input_of_another_shape_is_the_servers_error(on: On, protocol: str) -> None:
    oracle = on(protocol, "floats")
    taken, outputs, _ = oracle._described()
    with pytest.raises(OracleFailed, match="answered"):
        oracle._ask(np.zeros((2, 3, 7, 7), np.float32), taken, list(outputs.values()))


def test_a_model_that_is_gone_in_the_middle(on: On, protocol: str) -> None:
    taken, outputs, _ = on(protocol, "floats")._described()
    rows = np.zeros((1, *network.SHAPE), np.float32)
    with pytest.raises(NotFound, match="it has no model 'nothing'"):
        on(protocol, "nothing")._ask(rows, taken, list(outputs.values()))


def test_a_server_that_ends_takes_all_its_processes_along(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    try:
        made = InferenceServer("triton", tmp_path_factory.mktemp("ends"))
    except Unsupported as error:
        pytest.skip(str(error))
    with made as server:
        oracle = InferenceProtocol(server.grpc, "floats")
        oracle.observe(X[:1], UNITS)
        assert server.survivors()
    with pytest.raises(OracleUnavailable, match="see whether it runs"):
        oracle.observe(X[:1], UNITS)
    assert not server.survivors()
    oracle.close()
