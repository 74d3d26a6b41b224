"""Wrappers around models behind the wire, and wrapped models behind it."""

import logging
from concurrent import futures
from dataclasses import dataclass, field, replace
from typing import ClassVar

import grpc
import pytest
import torch

from blackbox_am.client import connect
from blackbox_am.core.metering import metering
from blackbox_am.core.oracle import Oracle
from blackbox_am.core.types import Accounting, StopReason, StudyState
from blackbox_am.core.units import Unit
from blackbox_am.errors import (
    InvalidSpec,
    MessageTooLarge,
    OracleFailed,
    OracleUnavailable,
    QuotaExceeded,
)
from blackbox_am.generators.parametric.pixels import Pixels
from blackbox_am.generators.wrappers.resize import Resize
from blackbox_am.oracles.grpc.remote import Remote
from blackbox_am.oracles.simulated import Simulated
from blackbox_am.oracles.wrappers.cache import Cache
from blackbox_am.oracles.wrappers.delivery.halving import Halving
from blackbox_am.oracles.wrappers.delivery.quota import Quota
from blackbox_am.oracles.wrappers.delivery.retry import Retry
from blackbox_am.oracles.wrappers.measurement.noise import Noise
from blackbox_am.oracles.wrappers.measurement.verify import Verify
from blackbox_am.rpc import progress, tensors
from blackbox_am.service import running
from blackbox_am.v1 import oracle_service_pb2 as pb
from blackbox_am.v1.oracle_service_pb2_grpc import (
    OracleServiceServicer,
    add_OracleServiceServicer_to_server,
)

UNITS = [Unit("units", j) for j in range(10)]


@dataclass(frozen=True)
class Failing(Oracle):
    """Raises what `errors` say, then answers."""

    kind: ClassVar[str] = "failing"
    billable: ClassVar[bool] = True
    errors: list = field(default_factory=list)
    rows: list = field(default_factory=list)

    def describe(self):
        return Simulated().describe()

    def observe(self, stimuli, units):
        self.rows.append(len(stimuli))
        if self.errors:
            raise self.errors.pop(0)
        return Simulated().observe(stimuli, units)


def images(rows=6):
    return torch.rand(rows, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def test_when_to_come_back_crosses_the_wire(config):
    failing = Failing(
        [
            OracleUnavailable("warming up", retry_after=0.125),
            QuotaExceeded("slow down", retry_after=0.25),
            OracleUnavailable("no word of when"),
        ]
    )
    config.catalogue.add_oracle("failing", failing)
    with running(config) as address:
        remote = Remote(address, "failing")
        for seconds in (0.125, 0.25):  # a quota with a time to wait is a matter of waiting
            with pytest.raises(OracleUnavailable) as found:
                remote.observe(images(), UNITS)
            assert found.value.retry_after == seconds
        with pytest.raises(OracleUnavailable) as found:
            remote.observe(images(), UNITS)
        assert found.value.retry_after == 5, "what a server says by default"
        failing.errors.extend([OracleUnavailable("again", retry_after=0.01)] * 3)
        with metering() as meter:
            answer = Retry(remote, first_seconds=0).observe(images(), UNITS)
        remote.close()
    torch.testing.assert_close(answer, Simulated().observe(images(), UNITS))
    assert meter.total == Accounting(calls=4, rows=24, retries=3, retried_rows=18)


def test_what_never_reached_the_oracle_is_not_counted(config):
    with running(config) as address:
        remote = Remote(address, "sim")
        remote.describe()
    with metering() as meter, pytest.raises(OracleUnavailable):
        Retry(remote, 3, first_seconds=0.01).observe(images(), UNITS)
    remote.close()
    assert meter.total == Accounting()


def test_a_far_quota_stops_the_study(config):
    config.catalogue.add_oracle("dear", Quota(Simulated(), rows=100, cost_per_row=2.0))
    with running(config) as far:
        remote = Remote(far, "dear")
        near = replace(config, catalogue=type(config.catalogue).default())
        near.catalogue.add_oracle("dear", remote)
        near.catalogue.add_generator("pixels", config.catalogue.generator("pixels"))
        with running(near) as address, connect(address) as client:
            study = client.create(
                oracle="dear", generator="pixels", targets=["units:0"], queries_per_target=500
            )
            end = study.wait(30)
        remote.close()
    assert (end.state, end.stop_reason) == (StudyState.PAUSED, StopReason.BUDGET)
    assert "of 100 rows were asked, for" in end.message
    assert 0 < end.search_rows <= 100


def test_a_batch_that_a_strangers_server_cannot_take_is_halved():
    class Small(OracleServiceServicer):
        rows: ClassVar[list[int]] = []

        def DescribeOracle(self, request, context):  # noqa: N802
            return progress.oracle_to_proto("", Simulated(batch_size=64).describe())

        def Observe(self, request, context):  # noqa: N802
            stimuli = torch.tensor(tensors.from_proto(request.stimuli))
            self.rows.append(len(stimuli))
            answer = Simulated().observe(stimuli, [Unit.parse(u) for u in request.units])
            return pb.ObserveResponse(activations=tensors.to_proto(answer.numpy()))

    server = grpc.server(
        futures.ThreadPoolExecutor(2), options=[("grpc.max_receive_message_length", 8000)]
    )
    add_OracleServiceServicer_to_server(Small(), server)
    port = server.add_insecure_port("localhost:0")
    server.start()
    remote = Remote(f"localhost:{port}")
    try:
        with pytest.raises(MessageTooLarge, match="send fewer rows at a time"):
            remote.observe(images(32), UNITS)
        oracle = Halving(remote)
        with metering() as meter:
            answer = oracle.observe(images(32), UNITS)
            oracle.observe(images(16), UNITS)
    finally:
        remote.close()
        server.stop(0).wait()
    torch.testing.assert_close(answer, Simulated().observe(images(32), UNITS))
    assert Small.rows == [8, 8, 8, 8, 8, 8], "8 rows of 768 bytes fit"
    assert meter.total == Accounting(calls=6, rows=48), "what was refused did not arrive"


def test_what_a_wrapper_finds_out_is_told_when_a_study_is_created(config, tmp_path, caplog):
    class Backwards(Failing):
        def observe(self, stimuli, units):
            return Simulated().observe(stimuli, units).flip(0)

    class Wavering(Failing):
        def observe(self, stimuli, units):
            self.rows.append(len(stimuli))
            return Simulated().observe(stimuli, units) + len(self.rows) / 8

    config.catalogue.add_oracle("backwards", Verify(Backwards()))
    config.catalogue.add_oracle("wavering", Verify(Wavering()))
    noisy = Cache(Noise(Simulated(), additive=0.1), str(tmp_path / "c"))
    config.catalogue.add_oracle("noisy", noisy)
    request = {"generator": "pixels", "targets": ["units:0"], "queries_per_target": 40}
    with running(config) as address, connect(address) as client:
        with pytest.raises(OracleFailed, match="another order than they were sent in"):
            client.create(oracle="backwards", **request)
        with pytest.raises(InvalidSpec, match="nondeterministic = true"):
            client.create(oracle="noisy", **request)
        with caplog.at_level(logging.WARNING):
            study = client.create(oracle="wavering", **request)
        assert "differently: by up to 0.125" in caplog.text
        assert study.wait(30).state is StudyState.SUCCEEDED
        listed = {entry.name: entry for entry in client.oracles()}
    assert not listed["wavering"].info.deterministic
    assert "another order" in listed["backwards"].problem


def test_a_wrapped_generator_is_listed_and_searched(config):
    config.catalogue.add_generator("wide", Resize(Pixels((3, 16, 16)), (8, 8)))
    with running(config) as address, connect(address) as client:
        listed = {entry.name: entry for entry in client.generators()}["wide"]
        study = client.create(
            oracle="sim", generator="wide", targets=["units:0"], queries_per_target=40
        )
        assert study.wait(30).state is StudyState.SUCCEEDED
        assert study.best(stimuli=True)[0].stimulus.shape == (3, 8, 8)
    assert (listed.kind, listed.stimulus_shape, listed.problem) == ("resize", (3, 8, 8), "")
    assert listed.space.dimension == 3 * 16 * 16
    assert listed.summary.startswith("Makes images")
