"""Several servers with one model: they share the work, and one that dies is not missed."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import grpc
import numpy as np
import pytest
import torch
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from blackbox_am import plugins
from blackbox_am.catalogue import Catalogue
from blackbox_am.client import connect
from blackbox_am.core.metering import metering
from blackbox_am.core.types import Accounting, StudyState
from blackbox_am.core.units import Unit
from blackbox_am.errors import InvalidSpec, NotFound, OracleFailed, OracleTimeout, OracleUnavailable
from blackbox_am.oracles.grpc._access import Access
from blackbox_am.oracles.grpc._endpoints import Endpoints
from blackbox_am.oracles.grpc.remote import Remote
from blackbox_am.oracles.simulated import Simulated
from blackbox_am.rpc import progress, tensors
from blackbox_am.service import Config, running
from blackbox_am.v1 import oracle_service_pb2 as pb
from blackbox_am.v1.oracle_service_pb2_grpc import (
    OracleServiceServicer,
    add_OracleServiceServicer_to_server,
)

UNITS = [Unit.parse("units:0"), Unit.parse("units:3")]
X = torch.rand((40, 3, 8, 8), generator=torch.Generator().manual_seed(0))


class Here(OracleServiceServicer):
    """A server in this process, which does what it is told to."""

    def __init__(self, oracle=None) -> None:
        self.oracle = oracle or Simulated(batch_size=16)
        self.rows: list[int] = []
        self.described = 0
        self.fails: grpc.StatusCode | None = None

    def DescribeOracle(self, request, context):  # noqa: N802
        self.described += 1
        return progress.oracle_to_proto("", self.oracle.describe())

    def Observe(self, request, context):  # noqa: N802
        stimuli = torch.tensor(tensors.from_proto(request.stimuli))
        self.rows.append(len(stimuli))
        if self.fails is not None:
            context.abort(self.fails, "told to fail")
        answer = self.oracle.observe(stimuli, [Unit.parse(unit) for unit in request.units])
        return pb.ObserveResponse(activations=tensors.to_proto(answer.numpy()))


@contextmanager
def served(*servicers, healthy=None) -> Iterator[list[str]]:
    """Their addresses. `healthy`: what a health service of the first says."""
    with ExitStack() as stack:
        addresses = []
        for number, servicer in enumerate(servicers):
            server = grpc.server(futures.ThreadPoolExecutor(4))
            add_OracleServiceServicer_to_server(servicer, server)
            if healthy is not None and not number:
                health_pb2_grpc.add_HealthServicer_to_server(healthy, server)
            addresses.append(f"localhost:{server.add_insecure_port('localhost:0')}")
            server.start()
            stack.callback(lambda server=server: server.stop(0).wait())
        yield addresses


@pytest.fixture
def fleet() -> Iterator[Callable[..., Remote]]:
    """`fleet(addresses)`: an oracle on them."""
    opened: list[Remote] = []

    def make(addresses, **more: object) -> Remote:
        opened.append(Remote(tuple(addresses), **more))
        return opened[-1]

    yield make
    for oracle in opened:
        oracle.close()


def test_servers_share_the_rows_of_a_batch(fleet) -> None:
    one, two = Here(), Here(Simulated(batch_size=24))
    with served(one, two) as addresses:
        oracle = fleet(addresses)
        assert oracle.describe() == replace(
            Simulated().describe(), kind="remote", batch_size=2 * 16
        )
        with metering() as meter:
            for _ in range(4):
                answer = oracle.observe(X[:32], UNITS)
    assert torch.equal(answer, Simulated().observe(X[:32], UNITS))
    assert meter.total == Accounting(calls=8, rows=4 * 32)
    assert sorted([*one.rows, *two.rows]) == [16] * 8
    assert len(one.rows) == len(two.rows) == 4


def test_they_work_at_the_same_time(fleet) -> None:
    both = threading.Barrier(2, timeout=60)  # each answers once the other is asked too

    class Meeting(Simulated):
        def observe(self, stimuli, units):
            both.wait()
            return super().observe(stimuli, units)

    with served(Here(Meeting(batch_size=16)), Here(Meeting(batch_size=16))) as addresses:
        oracle = fleet(addresses)
        oracle.describe()
        answer = oracle.observe(X[:32], UNITS)
    assert torch.equal(answer, Simulated().observe(X[:32], UNITS))


def test_a_server_killed_in_the_middle_of_a_call_is_not_missed(far, fleet) -> None:
    dying, well = far(last=2), far()
    oracle = fleet([dying.address, well.address])
    first = oracle.observe(X[:32], UNITS)
    with metering() as meter:
        assert torch.equal(oracle.observe(X[:32], UNITS), first)
        assert torch.equal(oracle.observe(X[:32], UNITS), first)
    assert dying.process.wait(10) == -9
    calls = (dying.calls + well.calls)[2:]
    assert meter.total == Accounting(calls=len(calls), rows=sum(calls), retries=1, retried_rows=16)
    assert (dying.calls, well.calls) == ([16, 16], [16] * 5)


def test_a_study_goes_on_while_servers_die_and_return(far, fleet, tmp_path) -> None:
    dying, well = far(last=9), far()
    tables = {
        "oracles": {"fleet": {"kind": "remote", "target": [dying.address, well.address]}},
        "generators": {"pixels": {"kind": "pixels", "shape": [3, 8, 8]}},
    }
    config = Config(
        address="localhost:0",
        store=":memory:",
        device="cpu",
        catalogue=Catalogue.from_plain(tables),
    )
    wanted = {"targets": ["units:0", "units:3"], "generator": "pixels", "oracle": "fleet"}
    with running(config) as address, connect(address) as client:
        study = client.create(queries_per_target=10**6, **wanted)
        assert dying.process.wait(20) == -9
        dying.kill()
        dying.start(last=4)
        assert dying.process.wait(20) == -9, "it got calls again once it was back"
        until = study.progress().generation + 3
        while study.progress().generation < until:
            time.sleep(0.01)
        study.pause()
        # What was under way goes on: at rest is what has not changed for a second.
        deadline = time.monotonic() + 30
        changed, seen = time.monotonic(), ()
        while time.monotonic() < changed + 1 or seen[0].spent.rows != sum(seen[1]):
            assert time.monotonic() < deadline, seen
            now = study.progress(), dying.calls + well.calls
            if not seen or (now[0].spent, now[1]) != (seen[0].spent, seen[1]):
                changed, seen = time.monotonic(), now
            time.sleep(0.02)
    end, calls = seen
    assert end.state is StudyState.PAUSED
    assert len(dying.calls) == 9 + 4
    assert (end.spent.calls, end.spent.rows) == (len(calls), sum(calls))
    assert (end.spent.retries, end.spent.retried_rows) == (
        2,
        dying.calls[8] + dying.calls[12],
    ), "one call died with the server, twice"
    spent = end.spent
    assert spent.searched_rows + spent.probe_rows == spent.rows - spent.retried_rows
    assert end.search_rows <= spent.searched_rows, "the open generation is not closed"


def test_none_is_left(far, fleet) -> None:
    one, two = far(), far()
    oracle = fleet([one.address, two.address], timeout_seconds=5)
    oracle.describe()
    one.kill()
    two.kill()
    with (
        metering() as meter,
        pytest.raises(OracleUnavailable, match="none of 2 endpoints answers") as found,
    ):
        oracle.observe(X[:4], UNITS)
    assert one.address in found.value.message
    assert two.address in found.value.message
    assert meter.total == Accounting(), "nothing arrived"


def test_servers_with_different_models_are_refused(fleet) -> None:
    other = Here(Simulated(stimulus_shape=(1, 4, 4)))
    with served(Here(), other) as addresses, pytest.raises(OracleFailed) as found:
        fleet(addresses).describe()
    assert found.value.message == (
        f"the oracle at {addresses[1]} is another model than that at {addresses[0]} is: "
        "stimulus_shape (1, 4, 4) and not (3, 8, 8); give addresses of servers that have the "
        "same model"
    )


def test_a_server_that_returns_with_another_model_is_refused(fleet) -> None:
    servicer = Here()
    with served(servicer) as addresses:
        oracle = fleet(addresses)
        oracle.observe(X[:4], UNITS)
        servicer.fails = grpc.StatusCode.UNAVAILABLE
        with pytest.raises(OracleUnavailable):
            oracle.observe(X[:4], UNITS)
        servicer.fails = None
        servicer.oracle = Simulated(units=9)
        with pytest.raises(OracleFailed, match="another model than it was: layers of another"):
            oracle.observe(X[:4], UNITS)


def test_a_name_that_one_server_does_not_know(fleet) -> None:
    class Nameless(Here):
        def DescribeOracle(self, request, context):  # noqa: N802
            context.abort(grpc.StatusCode.NOT_FOUND, "no oracle of that name")

    with served(Here(), Nameless()) as addresses, pytest.raises(NotFound) as found:
        fleet(addresses).describe()
    assert found.value.message == f"oracle at {addresses[1]}: no oracle of that name"


def test_one_that_says_it_is_not_healthy_gets_no_calls(fleet) -> None:
    sick, well = Here(), Here()
    said = health.HealthServicer()
    said.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
    with served(sick, well, healthy=said) as addresses:
        oracle = fleet(addresses)
        oracle.observe(X[:32], UNITS)
        assert (sick.rows, sick.described, well.rows) == ([], 0, [16, 16])
        with pytest.raises(OracleUnavailable, match="its health check says NOT_SERVING"):
            fleet(addresses[:1]).describe()
        said.set("", health_pb2.HealthCheckResponse.SERVING)
        again = fleet(addresses)
        again.observe(X[:32], UNITS)
    assert sick.rows == [16]


def test_one_that_is_down_is_left_alone_longer_each_time() -> None:
    now = 0.0
    sick, well = Here(), Here()
    with served(sick, well) as addresses:
        pool = Endpoints(addresses, Access(), "", 5.0, clock=lambda: now)
        pool.describe()
        sick.fails = grpc.StatusCode.UNAVAILABLE
        asked = []

        def call(endpoint, metadata):
            asked.append(endpoint.address)
            request = pb.ObserveRequest(stimuli=tensors.to_proto(np.zeros((1, 3, 8, 8), "f4")))
            return endpoint.stub.Observe(request, timeout=5.0)

        for _ in range(120):  # 12 s
            pool.reach(call)
            now += 0.1
        tries = asked.count(addresses[0])
        assert tries == 4, "at 0, 1, 3 and 7 s"
        assert sick.described == 4, "looked at before each but the first"
        sick.fails = None
        now += 60
        asked.clear()
        for _ in range(10):
            pool.reach(call)
        assert asked.count(addresses[0]) == 5
        pool.close()


def test_when_to_come_back_is_obeyed() -> None:
    now = 0.0
    with served(Here(), Here()) as addresses:
        pool = Endpoints(addresses, Access(), "", 5.0, clock=lambda: now)
        pool.describe()
        busy = addresses[0]
        asked = []

        def call(endpoint, metadata):
            asked.append(endpoint.address)
            if endpoint.address == busy:
                raise OracleUnavailable("not now", retry_after=30)

        for _ in range(40):
            pool.reach(call)
            now += 1
        pool.close()
    assert asked.count(busy) == 2


def test_what_takes_too_long_is_not_done_twice(fleet) -> None:
    class Stuck(Here):
        def Observe(self, request, context):  # noqa: N802
            self.rows.append(request.stimuli.shape[0])
            time.sleep(1)

    stuck, well = Stuck(), Here()
    with served(stuck, well) as addresses:
        oracle = fleet(addresses, timeout_seconds=0.4)
        with metering() as meter, pytest.raises(OracleTimeout, match=addresses[0]):
            oracle.observe(X[:16], UNITS)
        oracle.observe(X[:16], UNITS)
        oracle.observe(X[:16], UNITS)
    assert meter.total == Accounting(calls=1, rows=16)
    assert (stuck.rows, well.rows) == ([16], [16, 16])


@pytest.mark.parametrize("target", [[], [""], ["a:1", ""], ["a:1", "a:1"]])
def test_addresses_are_checked(target) -> None:
    with pytest.raises(InvalidSpec, match="target"):
        plugins.oracles.build("remote", {"target": target})


def test_one_address_or_several_in_a_configuration() -> None:
    assert plugins.oracles.build("remote", {"target": "a:1"}) == Remote("a:1")
    assert plugins.oracles.build("remote", {"target": ["a:1", "b:1"]}) == Remote(("a:1", "b:1"))
