"""Health checks tell the truth about the store and the oracles, and survive garbage."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import ClassVar

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from blackbox_am.client import connect
from blackbox_am.errors import OracleTimeout, StoreError
from blackbox_am.generators.parametric.pixels import Pixels
from blackbox_am.service import running
from blackbox_am.testing.server import ServerProcess
from tests.service.test_hanging import Hung

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
SETTINGS = """
[server]
shipped = false
device = "cpu"

[generators.pixels]
kind = "pixels"
shape = [3, 8, 8]
"""
GARBAGE = b"\xff\xff\xff"


def health(address, name=""):
    with grpc.insecure_channel(address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        return stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=10).status


def until(address, status, name=""):
    deadline = time.monotonic() + 15
    while health(address, name) != status:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def notes(client):
    """What the listing says about the oracle."""
    (found,) = (one for one in client.oracles() if one.name == "hung")
    return str(found.info.notes)


def test_a_hung_oracle_is_not_ready_and_is_described_so(config):
    oracle = Hung(threading.Event())
    config.catalogue.add_oracle("hung", oracle)
    stimuli = np.zeros((1, 3, 8, 8), np.uint8)
    with running(replace(config, oracle_seconds=0.2)) as address, connect(address) as client:
        assert health(address, "oracles/hung") == SERVING
        with pytest.raises(OracleTimeout, match="the oracle 'hung' did not answer"):
            client.observe("hung", stimuli, ["units:0"])
        until(address, NOT_SERVING, "oracles/hung")
        assert health(address) == health(address, "oracles/sim") == SERVING
        told = "calls that were given up and have not returned: 1"
        assert told in notes(client)
        oracle.release.set()
        until(address, SERVING, "oracles/hung")
        assert told not in notes(client)


@pytest.mark.parametrize("replaced", [False, True])
def test_a_store_that_is_deleted_acknowledges_nothing(config, tmp_path, replaced):
    path, away = tmp_path / "store", tmp_path / "away"
    with running(replace(config, store=str(path))) as address, connect(address) as client:
        study = client.create(targets=["n:0"], generator="pixels", study_id="s", seed=0)
        candidates = study.ask()
        study.tell(candidates, np.zeros(len(candidates.latents)))
        path.rename(away)
        if replaced:
            path.write_bytes(away.read_bytes())
        candidates = study.ask()
        with pytest.raises(StoreError, match=r"store .* cannot be used: .* since the server"):
            study.tell(candidates, np.zeros(len(candidates.latents)))
        until(address, NOT_SERVING)
        away.replace(path)
        until(address, SERVING)
        study.tell(study.ask(), np.zeros(len(candidates.latents)))
        assert client.study("s").progress().generation >= 2


def test_garbage_gets_an_answer_and_one_line(config, caplog):
    methods = {
        "/grpc.health.v1.Health/Check": "unary_unary",
        "/grpc.health.v1.Health/Watch": "unary_stream",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": "stream_stream",
    }
    with running(config) as address, grpc.insecure_channel(address) as channel:
        for method, kind in methods.items():
            caplog.clear()
            call = getattr(channel, kind)(method)
            with pytest.raises(grpc.RpcError) as caught:
                list(call(iter([GARBAGE]) if kind == "stream_stream" else GARBAGE, timeout=10))
            assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
            (line,) = [one for one in caplog.records if one.levelname != "INFO"]
            assert line.message.startswith(f"{method}: the request cannot be read")
            assert line.exc_info is None
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        (answer,) = stub.ServerReflectionInfo(
            iter([reflection_pb2.ServerReflectionRequest(list_services="")]), timeout=10
        )
        assert answer.list_services_response.service


@pytest.mark.slow
def test_a_process_whose_store_is_deleted_says_so_and_ends(tmp_path):
    settings = tmp_path / "server.toml"
    settings.write_text(SETTINGS)
    with ServerProcess(tmp_path, settings) as server, connect(server.address) as client:
        study = client.create(targets=["n:0"], generator="pixels", study_id="s", seed=0)
        candidates = study.ask()
        for part in tmp_path.glob("studies.sqlite3*"):
            part.unlink()
        with pytest.raises(StoreError):
            study.tell(candidates, np.zeros(len(candidates.latents)))
        until(server.address, NOT_SERVING)
        assert not (tmp_path / "studies.sqlite3").exists(), "no new store is made in its place"
        assert server.stop() == 0


class SlowToMove(Pixels):
    """A generator that moves to its device when `free` is set."""

    moving: ClassVar[threading.Event] = threading.Event()
    free: ClassVar[threading.Event] = threading.Event()

    def to(self, device):
        self.moving.set()
        assert self.free.wait(20)
        super().to(device)


def test_a_generator_that_loads_slowly_holds_up_no_other_call(config, monkeypatch):
    monkeypatch.setattr("blackbox_am.service.readiness.LOOK_SECONDS", 0.05)
    config.catalogue.add_generator("slow", SlowToMove((3, 8, 8)))
    with running(config) as address, connect(address) as client, ThreadPoolExecutor(1) as pool:
        made = pool.submit(client.render, "slow", np.zeros((1, 192), np.float32))
        try:
            assert SlowToMove.moving.wait(20)
            time.sleep(0.5)  # so that the health checks look at the oracles meanwhile
            assert health(address, "oracles/sim") == SERVING
            assert client.observe("sim", np.zeros((1, 3, 8, 8), np.uint8), ["units:0"]).size == 1
        finally:
            SlowToMove.free.set()
        assert made.result(20).shape == (1, 3, 8, 8)
