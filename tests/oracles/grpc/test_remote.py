"""A model behind the wire: as good as the model, or an error that says what is wrong."""

import time
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from dataclasses import replace

import grpc
import numpy as np
import pytest
import torch

from blackbox_am import plugins
from blackbox_am.catalogue import Catalogue
from blackbox_am.client import connect
from blackbox_am.core.metering import Meter, metering
from blackbox_am.core.types import StopReason, StudyState
from blackbox_am.core.units import Unit
from blackbox_am.errors import (
    GradientUnavailable,
    InvalidSpec,
    NotFound,
    OracleFailed,
    OracleTimeout,
    OracleUnavailable,
    ShapeMismatch,
    UnknownUnit,
)
from blackbox_am.oracles.grpc.remote import Remote
from blackbox_am.oracles.simulated import Simulated
from blackbox_am.rpc import progress, tensors
from blackbox_am.service import Config, running
from blackbox_am.v1 import oracle_service_pb2 as pb
from blackbox_am.v1.oracle_service_pb2_grpc import (
    OracleServiceServicer,
    add_OracleServiceServicer_to_server,
)
from blackbox_am.v1.tensor_pb2 import Dtype, Tensor

UNITS = [Unit.parse("units:0"), Unit.parse("units:7")]
TABLES = {
    "oracles": {"sim": {"kind": "simulated"}, "deep": {"kind": "simulated", "gradients": True}},
    "generators": {"pixels": {"kind": "pixels", "shape": [3, 8, 8]}},
}


def setup(tables=None, **changes):
    catalogue = Catalogue.from_plain(tables or TABLES)
    return Config(
        address="localhost:0",
        store=":memory:",
        device="cpu",
        retry_delays=(0.01, 0.02),
        catalogue=catalogue,
        **changes,
    )


@pytest.fixture(scope="module")
def address():
    with running(setup()) as found:
        yield found


@pytest.fixture
def oracle(address):
    found = Remote(address, "sim")
    yield found
    found.close()


@contextmanager
def served(servicer) -> Iterator[str]:
    """A server written by somebody else."""
    server = grpc.server(futures.ThreadPoolExecutor(2))
    add_OracleServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("localhost:0")
    server.start()
    try:
        yield f"localhost:{port}"
    finally:
        server.stop(0).wait()


class Stranger(OracleServiceServicer):
    """Answers what it is told to."""

    def __init__(self, answer, info=None):
        self.answer = answer
        self.info = info or Simulated().describe()
        self.requests = []

    def DescribeOracle(self, request, context):  # noqa: N802
        return progress.oracle_to_proto("", self.info)

    def Observe(self, request, context):  # noqa: N802
        self.requests.append(request)
        return pb.ObserveResponse(activations=self.answer(request))


def stimuli(n, seed=0):
    return torch.rand((n, 3, 8, 8), generator=torch.Generator().manual_seed(seed))


def test_it_is_registered():
    assert plugins.oracles.get("remote") is Remote
    assert Remote.billable


def test_descriptions_say_what_the_model_has(oracle, address):
    said, model = oracle.describe(), Simulated().describe()
    assert said == replace(model, kind="remote", fingerprint=said.fingerprint)
    assert said.fingerprint, "a study can tell this model from another"
    deep = Remote(address, "deep")
    # Gradients do not travel.
    assert deep.describe().capabilities == Simulated().describe().capabilities
    deep.close()


@pytest.mark.parametrize("rows", [1, 64, 130])
def test_activations_are_those_of_the_model_to_the_bit(oracle, rows):
    batch = stimuli(rows)
    model = Simulated()
    found = oracle.observe(batch, UNITS)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, model.observe(batch, UNITS), rtol=1e-6, atol=0)
    assert torch.equal(found, oracle.observe(batch, UNITS))
    assert torch.equal(found[:1], oracle.observe(batch[:1], UNITS))


def test_uint8_is_rounded_and_no_more(address):
    oracle = Remote(address, "sim", dtype="uint8")
    batch = stimuli(10)
    rounded = (batch * 255).round() / 255
    expected = Simulated().observe(rounded, UNITS)
    torch.testing.assert_close(oracle.observe(batch, UNITS), expected, rtol=1e-5, atol=1e-6)
    oracle.close()


def test_nothing_is_observed_as_nothing(oracle):
    assert oracle.observe(stimuli(0), UNITS).shape == (0, 2)


def test_large_batches_are_streamed():
    tables = {"oracles": {"big": {"kind": "simulated", "batch_size": 5000}}}
    with running(setup(tables)) as address:
        oracle = Remote(address)  # the only one needs no name
        batch = stimuli(4800)
        assert batch.numel() * 4 > 3 * 2**20
        found = oracle.observe(batch, UNITS)
        oracle.close()
    torch.testing.assert_close(found, Simulated().observe(batch, UNITS), rtol=1e-6, atol=0)


def test_calls_are_no_larger_than_the_server_likes():
    stranger = Stranger(lambda r: tensors.to_proto(np.zeros((r.stimuli.shape[0], 2), "f4")))
    with served(stranger) as address:
        oracle = Remote(address)
        oracle.observe(stimuli(150), UNITS)
        oracle.close()
    assert [request.stimuli.shape[0] for request in stranger.requests] == [64, 64, 22]
    assert list(stranger.requests[0].units) == ["units:0", "units:7"]


def test_what_is_not_there_is_told_before_anything_is_sent(oracle, address):
    with pytest.raises(UnknownUnit, match="did you mean"):
        oracle.observe(stimuli(1), [Unit.parse("unit:0")])
    with pytest.raises(ShapeMismatch):
        oracle.observe(torch.zeros(1, 3, 8, 9), UNITS)
    with pytest.raises(NotFound, match="did you mean 'sim'"):
        Remote(address, "simm").describe()


def test_nobody_there():
    oracle = Remote("localhost:9", timeout_seconds=5)
    with pytest.raises(OracleUnavailable, match="localhost:9"):
        oracle.describe()
    oracle.close()


def test_a_server_that_goes_away_and_comes_back():
    stranger = Stranger(lambda r: tensors.to_proto(np.ones((r.stimuli.shape[0], 2), "f4")))
    server = grpc.server(futures.ThreadPoolExecutor(2))
    add_OracleServiceServicer_to_server(stranger, server)
    port = server.add_insecure_port("localhost:0")
    server.start()
    oracle = Remote(f"localhost:{port}", timeout_seconds=5)
    oracle.observe(stimuli(1), UNITS)
    server.stop(0).wait()
    with pytest.raises(OracleUnavailable):
        oracle.observe(stimuli(1), UNITS)
    server = grpc.server(futures.ThreadPoolExecutor(2))
    add_OracleServiceServicer_to_server(stranger, server)
    server.add_insecure_port(f"localhost:{port}")
    server.start()
    deadline = time.monotonic() + 10
    while True:
        try:
            assert (oracle.observe(stimuli(1), UNITS) == 1).all()
            break
        except OracleUnavailable:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    oracle.close()
    server.stop(0).wait()


def test_a_server_without_streams_gets_several_calls():
    rows = []

    def answer(request):
        rows.append(request.stimuli.shape[0])
        return tensors.to_proto(tensors.from_proto(request.stimuli).mean((1, 2, 3))[:, None])

    many, meter = torch.rand(9000, 3, 8, 8), Meter()
    stranger = Stranger(answer, replace(Simulated().describe(), batch_size=9000))
    with served(stranger) as address, metering(meter):
        oracle = Remote(address)
        found = oracle.observe(many, UNITS[:1])
        again = oracle.observe(many[:10], UNITS[:1])
        oracle.close()
    np.testing.assert_allclose(found[:, 0], many.mean((1, 2, 3)), rtol=1e-6)
    assert len(again) == 10
    assert sum(rows) == 9010
    assert max(rows) * 768 <= 2 * 2**20
    assert (meter.total.rows, meter.total.calls) == (9010, len(rows))


def test_too_slow():
    def sleepy(request):
        time.sleep(1)
        return Tensor()

    with served(Stranger(sleepy)) as address:
        oracle = Remote(address, timeout_seconds=0.2)
        with pytest.raises(OracleTimeout, match=r"within 0\.2 s"):
            oracle.observe(stimuli(1), UNITS)
        oracle.close()


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (np.zeros((2, 2), "f4"), r"shape \(2, 2\); expected float32 or float64 of shape \(3, 2\)"),
        (np.zeros((3, 1), "f4"), r"expected float32 or float64 of shape \(3, 2\)"),
        (np.zeros((6,), "f4"), "expected float32"),
        (np.zeros((3, 2), "i8"), "int64"),
        (Tensor(), "no proper tensor"),
        (Tensor(dtype=Dtype.DTYPE_FLOAT32, shape=[3, 2], data=b"1"), "no proper tensor"),
    ],
)
def test_answers_without_sense(answer, says):
    message = answer if isinstance(answer, Tensor) else tensors.to_proto(answer)
    with served(Stranger(lambda _: message)) as address:
        oracle = Remote(address)
        with pytest.raises(OracleFailed, match=says):
            oracle.observe(stimuli(3), UNITS)
        oracle.close()


def test_a_server_that_fails():
    def fail(request):
        raise ValueError("my model broke")

    with served(Stranger(fail)) as address:
        oracle = Remote(address)
        with pytest.raises(OracleFailed, match="my model broke"):
            oracle.observe(stimuli(1), UNITS)
        oracle.close()


def test_a_server_that_is_no_oracle():
    with served(OracleServiceServicer()) as address:
        oracle = Remote(address)
        with pytest.raises(OracleFailed):
            oracle.describe()
        oracle.close()


def test_a_description_without_sense():
    class Mute(Stranger):
        def DescribeOracle(self, request, context):  # noqa: N802
            return pb.DescribeOracleResponse()

    with served(Mute(None)) as address:
        oracle = Remote(address)
        with pytest.raises(OracleFailed, match="capabilities"):
            oracle.describe()
        oracle.close()


def test_a_failed_row_is_nan():
    rows = np.array([[1, np.nan]], "f4")
    with served(Stranger(lambda _: tensors.to_proto(rows))) as address:
        oracle = Remote(address)
        np.testing.assert_array_equal(oracle.observe(stimuli(1), UNITS).numpy(), rows)
        oracle.close()


@pytest.mark.parametrize(
    "parameters",
    [
        {"target": ""},
        {"target": "a:1", "timeout_seconds": 0.0},
        {"target": "a:1", "timeout_seconds": -1.0},
        {"target": "a:1", "dtype": "float16"},
    ],
)
def test_parameters_are_checked(parameters):
    with pytest.raises(InvalidSpec):
        plugins.oracles.build("remote", parameters)


# Two servers, one behind the other


def test_two_servers_in_a_chain(address):
    near = {
        "oracles": {"far": {"kind": "remote", "target": address, "oracle": "sim"}},
        "generators": TABLES["generators"],
    }
    wanted = {"targets": ["units:0", "units:4"], "generator": "pixels", "queries_per_target": 200}
    wanted["seed"] = 0
    with running(setup(near)) as chained, connect(chained) as client:
        (listing,) = client.oracles()
        assert listing.info.kind == "remote"
        end = client.create(oracle="far", study_id="chained", **wanted).wait(60)
        assert (end.state, end.stop_reason) == (StudyState.SUCCEEDED, StopReason.BUDGET)
        with connect(address) as direct:
            same = direct.create(oracle="sim", **wanted).wait(60)
        assert [t.best_score for t in end.targets] == pytest.approx(
            [t.best_score for t in same.targets], rel=1e-3
        )
        with pytest.raises(GradientUnavailable):
            client.create(oracle="far", optimizer="adam", **wanted)


def test_a_far_server_that_goes_away_pauses_the_study():
    with running(setup()) as far:
        near = {
            "oracles": {"far": {"kind": "remote", "target": far, "oracle": "sim"}},
            "generators": TABLES["generators"],
        }
        chained = running(setup(near))
        with connect(chained.__enter__()) as client:
            study = client.create(
                targets=["units:0"], generator="pixels", oracle="far", queries_per_target=10**6
            )
            next(iter(study.watch(after_sequence=6)))
            gone = study
    try:
        with connect(gone._connection.target) as client:
            end = client.study(gone.id).wait(30)
            assert (end.state, end.stop_reason) == (StudyState.PAUSED, StopReason.ORACLE)
            assert "cannot reach" in end.message
    finally:
        chained.__exit__(None, None, None)
