"""A model that never answers takes its own threads only, and does not keep the server running."""

import os
import signal
import threading
import time
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest

from blackbox_am.client import connect
from blackbox_am.core.oracle import Oracle
from blackbox_am.core.types import StopReason, StudyState
from blackbox_am.errors import ServerUnavailable
from blackbox_am.oracles.simulated import Simulated
from blackbox_am.service import running
from blackbox_am.testing.server import ServerProcess

TOML = """
[server]
shipped = false
device = "cpu"

[oracles.hung]
kind = "function"
function = "hung:observe"
stimulus_shape = [3, 8, 8]
labels = ["a", "b"]

[generators.pixels]
kind = "pixels"
shape = [3, 8, 8]
"""
HUNG = """
import time
from pathlib import Path

calls = Path(__file__).with_name("calls")

def observe(stimuli):
    with calls.open("a") as file:
        file.write("call\\n")
    if len(calls.read_text().splitlines()) > 2:
        while True:
            time.sleep(1)
    return stimuli.reshape(len(stimuli), -1)[:, :2]
"""


@dataclass(frozen=True)
class Hung(Oracle):
    """Answers when `release` is set."""

    kind: ClassVar[str] = "hung"
    excluded_from_identity: ClassVar[frozenset[str]] = frozenset({"release"})
    release: threading.Event

    def describe(self):
        return Simulated().describe()

    def observe(self, stimuli, units):
        self.release.wait()
        return Simulated().observe(stimuli, units)


@pytest.fixture
def hung(config):
    oracle = Hung(threading.Event())
    config.catalogue.add_oracle("hung", oracle)
    yield oracle
    oracle.release.set()


def search(client, oracle, **changes):
    wanted = {"targets": ["units:0"], "generator": "pixels", "queries_per_target": 40, "seed": 0}
    return client.create(oracle=oracle, **{**wanted, **changes})


def test_studies_of_other_oracles_go_on(config, hung):
    with running(replace(config, workers=1)) as address, connect(address) as client:
        stuck = [search(client, "hung", seed=i) for i in range(3)]
        assert search(client, "sim").wait(20).state is StudyState.SUCCEEDED
        for study in stuck:
            study.cancel()
        # The cancelled studies give their thread back although the model does not return.
        last = search(client, "hung", seed=9)
        deadline = time.monotonic() + 10
        while last.progress().state is StudyState.PENDING:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        hung.release.set()
        assert last.wait(20).state is StudyState.SUCCEEDED


def test_a_study_whose_oracle_hangs_pauses_and_says_so(config, hung):
    with running(replace(config, oracle_seconds=0.3)) as address, connect(address) as client:
        study = search(client, "hung")
        end = study.wait(20)
        assert (end.state, end.stop_reason) == (StudyState.PAUSED, StopReason.ORACLE)
        assert "the oracle 'hung' did not answer" in end.message
        assert "within 0.3 s" in end.message
        hung.release.set()
        study.resume()
        assert study.wait(20).state is StudyState.SUCCEEDED


def test_callers_that_left_free_their_threads(config, hung):
    stimuli = np.zeros((1, 3, 8, 8), np.uint8)
    with running(config) as address, connect(address, timeout=0.5) as client:
        for _ in range(6):  # more than there are threads for models
            with pytest.raises(ServerUnavailable):
                client.observe("hung", stimuli, ["units:0"])
        time.sleep(1.0)
        assert client.observe("sim", stimuli, ["units:0"]).shape == (1, 1)


@pytest.mark.slow
def test_a_server_with_a_hung_call_ends_in_time_and_bills_the_rows(tmp_path, monkeypatch):
    (tmp_path / "hung.py").write_text(HUNG)
    (tmp_path / "server.toml").write_text(TOML)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    with ServerProcess(tmp_path, tmp_path / "server.toml") as server:
        with connect(server.address) as client:
            search(client, "hung", targets=client.units("hung")[:1], study_id="s")
            while (
                not (tmp_path / "calls").exists()
                or len((tmp_path / "calls").read_text().splitlines()) < 3
            ):
                time.sleep(0.05)
        started = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(30) == 0
        assert time.monotonic() - started < 25
    (tmp_path / "calls").unlink()
    with ServerProcess(tmp_path, tmp_path / "server.toml") as server:
        with connect(server.address) as client:
            billed = client.study("s").progress().spent.retried_rows
        assert billed > 0
