"""The server as a process: it starts, says what is wrong, stops in order, survives SIGKILL."""

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from blackbox_am.client import Study, connect
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.core.types import StudyState
from blackbox_am.errors import (
    Conflict,
    InvalidInput,
    ServerUnavailable,
    StoreCorrupt,
    StoreError,
)
from blackbox_am.service import running
from blackbox_am.service.server import SERVICES
from blackbox_am.stores import SQLStore
from tests import forked

PROGRAM = """
import sys, torch
from pathlib import Path
from blackbox_am.service import load_config, serve

def ready(address):
    Path(sys.argv[2]).with_suffix(".new").write_text(address)
    Path(sys.argv[2]).with_suffix(".new").rename(sys.argv[2])

serve(load_config(Path(sys.argv[1])), ready)
"""

TOML = """
[server]
address = "localhost:0"
store = "{store}"
device = "cpu"
shipped = false

[oracles.sim]
kind = "simulated"
latency_seconds = 0.01

[generators.pixels]
kind = "pixels"
shape = [3, 8, 8]
"""


class Process:
    """A server in a process of its own."""

    def __init__(self, folder, popen):
        toml = folder / "server.toml"
        toml.write_text(TOML.format(store=folder / "s.sqlite3"))
        ready = folder / "address"
        ready.unlink(missing_ok=True)
        self.process = popen(
            [sys.executable, "-W", "error", "-c", PROGRAM, toml, ready],
            stderr=subprocess.PIPE,
            text=True,
        )
        deadline = time.monotonic() + 60
        while not ready.exists():
            assert self.process.poll() is None, self.process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        self.address = ready.read_text()

    def end(self, number):
        self.process.send_signal(number)
        _, said = self.process.communicate(timeout=30)
        return self.process.returncode, said


@pytest.fixture
def start(tmp_path):
    started = []

    def go(popen=forked.Popen):
        started.append(Process(tmp_path, popen))
        return started[-1]

    yield go
    for server in started:
        if server.process.poll() is None:
            server.process.kill()
            server.process.communicate()


def search(client):
    return client.create(
        targets=["units:0", "units:1"],
        generator="pixels",
        oracle="sim",
        queries_per_target=1500,
        study_id="mine",
        seed=0,
    )


def test_killed_it_goes_on_by_itself_as_if_nothing_had_been(start, tmp_path, config):
    server = start()
    with connect(server.address) as client:
        next(iter(search(client).watch(after_sequence=8)))
        server.end(signal.SIGKILL)
    server = start()
    with connect(server.address) as client:
        study = client.study("mine")
        end = study.wait(60)
        assert (end.state, end.search_rows) == (StudyState.SUCCEEDED, 3000)
        events = list(study.watch())
        assert [e.sequence for e in events] == list(range(1, end.sequence + 1))
        assert any(type(e).__name__ == "Resumed" and e.exact for e in events)
        survivor = [g.scores for g in study.generations()]
    with running(config) as address, connect(address) as client:
        calm = search(client)
        calm.wait(60)
        untouched = [g.scores for g in calm.generations()]
    assert len(survivor) == len(untouched)
    for one, other in zip(survivor, untouched, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)]
)
def test_told_to_stop_it_stops_in_order(start, tmp_path, number):
    server = start(subprocess.Popen)  # its imports do not warn, and it ends to the last
    with connect(server.address) as client:
        study = search(client)
        next(iter(study.watch(after_sequence=8)))
    code, said = server.end(number)
    assert (code, said) == (0, "")
    store = SQLStore(str(tmp_path / "s.sqlite3"))
    records = store.read("mine")
    store.close()
    assert [r.sequence for r in records] == list(range(1, len(records) + 1))


def test_a_port_in_use(config):
    with running(config) as address:
        taken = replace(config, address=address)
        with pytest.raises(Conflict, match=f"cannot listen on {address}.*in use"), running(taken):
            pass
        with connect(address) as client:
            assert client.server_info().device == "cpu"


def test_an_address_of_nobody(config):
    other = replace(config, address="no.such.host.invalid:1", insecure=True)
    with pytest.raises(Conflict, match="cannot listen"), running(other):
        pass


def test_a_store_that_is_not_ours(config, tmp_path):
    path = tmp_path / "theirs.sqlite3"
    theirs = sqlite3.connect(path)
    theirs.execute("create table songs (title text)")
    theirs.commit()
    theirs.close()
    wrong = replace(config, store=str(path))
    with pytest.raises(StoreCorrupt, match=r"not a store of blackbox_am.*songs"), running(wrong):
        pass
    theirs = sqlite3.connect(path)
    tables = theirs.execute("select name from sqlite_master").fetchall()
    theirs.close()
    assert tables == [("songs",)]


def test_a_store_that_is_no_database(config, tmp_path):
    path = tmp_path / "noise.sqlite3"
    path.write_bytes(os.urandom(8192))
    before = path.read_bytes()
    with pytest.raises(StoreCorrupt, match="damaged"), running(replace(config, store=str(path))):
        pass
    assert path.read_bytes() == before


def test_a_store_in_no_folder(config, tmp_path):
    wrong = replace(config, store=str(tmp_path / "no" / "s.sqlite3"))
    with pytest.raises(StoreError, match="no folder"), running(wrong):
        pass


def test_a_failed_start_gives_its_port_back(config, tmp_path):
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    fixed = replace(config, address=f"localhost:{port}")
    wrong = replace(fixed, store=str(tmp_path / "no" / "s.sqlite3"))
    with pytest.raises(StoreError), running(wrong):
        pass
    with running(fixed) as address:
        assert address == f"localhost:{port}"


def test_a_journal_that_cannot_be_read_is_told_and_harms_no_other(config, tmp_path):
    path = tmp_path / "s.sqlite3"
    stored = replace(config, store=str(path))
    with running(stored) as address, connect(address) as client:
        for study_id in ("bad", "good"):
            client.create(
                targets=["units:0"],
                generator="pixels",
                oracle="sim",
                queries_per_target=50,
                study_id=study_id,
            ).wait(30)
    damage = sqlite3.connect(path)
    damage.execute("update events set body = x'c1ff' where study = 'bad' and sequence = 3")
    damage.execute("update studies set body = x'c1ff' where study = 'bad'")
    damage.commit()
    damage.close()
    with running(stored) as address, connect(address) as client:
        assert client.study("good").progress().state is StudyState.SUCCEEDED
        for read in (lambda: client.study("bad"), lambda: list(_handle(client).watch())):
            with pytest.raises(StoreCorrupt, match="cannot be read"):
                read()
        _handle(client).delete()
        assert [s.study_id for s in client.studies()] == ["good"]


def _handle(client):
    return Study(client._connection, "bad")


def test_the_limit_of_a_message_is_the_operators(config):
    small = replace(config, max_message_bytes=2**16)
    with running(small) as address, connect(address) as client:
        assert client.server_info().limits.max_message_bytes == 2**16
        with pytest.raises(InvalidInput, match="too large"):
            client.observe("sim", np.zeros((100, 3, 32, 32)), ["u:0"])


def test_health_and_reflection(config):
    with running(config) as address, grpc.insecure_channel(address) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        for name in ("", *SERVICES):
            answer = health.Check(health_pb2.HealthCheckRequest(service=name))
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        reflection = reflection_pb2_grpc.ServerReflectionStub(channel)
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        (answer,) = reflection.ServerReflectionInfo(iter([request]))
        found = {service.name for service in answer.list_services_response.service}
        assert set(SERVICES) <= found


def test_a_stopping_server_sends_its_watchers_away(config):
    with running(config) as address:
        client = connect(address)
        study = client.create(targets=["u:0"], space=SpaceSpec("normal", 2))
        events = study.watch(reconnect_seconds=0.2)
        next(events)
    with pytest.raises(ServerUnavailable):
        next(events)
    client.close()
