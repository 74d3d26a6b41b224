"""Every row that an oracle served is on a bill when processes are killed."""

import json
import socket
import subprocess
import sys
import threading
import time

import pytest

from blackbox_am.client import connect
from blackbox_am.core.types import StudyState
from blackbox_am.generators.parametric.pixels import Pixels
from blackbox_am.oracles.grpc.remote import Remote
from blackbox_am.oracles.simulated import Simulated
from blackbox_am.oracles.wrappers.delivery.retry import Retry
from blackbox_am.service import running
from blackbox_am.service.config import load_config
from blackbox_am.studies.local import maximise
from tests import forked

PROBE = 4
"""Rows that show before the search whether an oracle repeats itself."""

SERVER = """
import json, os, random, sys, time
from dataclasses import dataclass
from typing import ClassVar
from pathlib import Path
from blackbox_am.catalogue import Catalogue
from blackbox_am.core.oracle import Oracle
from blackbox_am.errors import OracleUnavailable
from blackbox_am.oracles.simulated import Simulated
from blackbox_am.service import Config, running

port, log = sys.argv[1], Path(sys.argv[2])

@dataclass(frozen=True)
class Faulty(Oracle):
    kind: ClassVar[str] = "faulty"
    billable: ClassVar[bool] = True

    def describe(self):
        return Simulated(batch_size=16).describe()

    def observe(self, stimuli, units):
        lines = log.read_text().splitlines() if log.exists() else []
        chance = random.Random(len(lines)).random()
        fate = ("died" if len(lines) in (5, 30) else "dropped" if chance < 0.1 else
                "late" if chance < 0.2 else "garbage" if chance < 0.25 else "answered")
        with log.open("a") as sink:
            sink.write(json.dumps([len(stimuli), fate]) + "\\n")
            sink.flush()
            os.fsync(sink.fileno())
        if fate == "died":
            os._exit(9)
        if fate == "dropped":
            raise OracleUnavailable("lost", retry_after=0.01)
        if fate == "late":
            time.sleep(4)
        answer = Simulated().observe(stimuli, units)
        return answer[:, :0] if fate == "garbage" else answer

catalogue = Catalogue()
catalogue.add_oracle("faulty", Faulty())
with running(Config(address=f"127.0.0.1:{port}", store=":memory:", device="cpu",
                    catalogue=catalogue)) as address:
    print(address, flush=True)
    time.sleep(600)
"""
ONE_STUDY = """
import sys, time
from pathlib import Path
from blackbox_am.client import connect
from blackbox_am.service import running
from blackbox_am.service.config import load_config

with running(load_config(Path(sys.argv[1]))) as address, connect(address) as client:
    client.create(study_id="mine", oracle="far", generator="pixels", seed=1,
                  targets=["units:0", "units:3"], queries_per_target=100)
    time.sleep(600)
"""


@pytest.mark.parametrize("wrapped", [pytest.param(False, marks=pytest.mark.slow), True])
def test_what_was_asked_when_the_server_was_killed_is_on_the_bill(far, tmp_path, wrapped):
    """SIGKILL in the middle of a generation, of which some calls were already answered."""
    oracle = far(8, "hold")
    path = tmp_path / "server.toml"
    path.write_text(
        f"""
        [server]
        address = "127.0.0.1:0"
        store = "{tmp_path / "s.sqlite3"}"
        device = "cpu"
        shipped = false

        [oracles.far]
        kind = "remote"
        target = "{oracle.address}"

        [generators.pixels]
        kind = "pixels"
        shape = [3, 8, 8]
        """
        + """
        [[oracles.far.wrap]]
        kind = "quota"
        rows = 100000
        cost_per_row = 0.5

        [[oracles.far.wrap]]
        kind = "retry"
        """
        * wrapped
    )
    with forked.Popen([sys.executable, "-c", ONE_STUDY, str(path)]) as server:
        deadline = time.monotonic() + 60
        while len(oracle.calls) < 8 and time.monotonic() < deadline:
            time.sleep(0.01)
        server.kill()
    before = oracle.calls
    assert len(before) == 8
    oracle.let_go()
    with running(load_config(path)) as address, connect(address) as client:
        end = client.study("mine").wait(60)
        events = len(list(client.study("mine").watch()))
    assert end.state is StudyState.SUCCEEDED
    assert (end.spent.calls, end.spent.rows) == (len(oracle.calls), sum(oracle.calls))
    assert end.spent.retried_rows == before[-1], "answered calls were repeated"
    assert end.search_rows == 200
    assert end.spent.rows - end.spent.retried_rows == 200 + PROBE
    assert end.spent.cost == (0.5 * end.spent.rows if wrapped else 0)
    assert events == end.sequence
    with running(load_config(path)) as address, connect(address) as client:
        assert client.study("mine").progress().spent == end.spent, "and is on it once"


@pytest.mark.slow
def test_a_server_that_drops_delays_lies_and_dies_has_the_same_counts(tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log, ending, deaths = tmp_path / "log", threading.Event(), []
    current: list[subprocess.Popen[str]] = []

    def keep_alive():
        while not ending.is_set():
            command = [sys.executable, "-c", SERVER, str(port), str(log)]
            with forked.Popen(command, stdout=subprocess.PIPE, text=True) as process:
                current[:] = [process]
                process.stdout.readline()
                up.set()
                deaths.append(process.wait())

    up = threading.Event()
    keeper = threading.Thread(target=keep_alive)
    keeper.start()
    try:
        assert up.wait(60)
        oracle = Retry(
            Remote(f"127.0.0.1:{port}", timeout_seconds=2),
            60,
            first_seconds=0.05,
            factor=1.5,
            longest_seconds=1,
            failures=True,
        )
        result = maximise(
            oracle=oracle,
            generator=Pixels((3, 8, 8)),
            targets=["units:0", "units:3"],
            queries_per_target=300,
            device="cpu",
        )
    finally:
        ending.set()
        current[0].kill()
        keeper.join(60)
    calls = [json.loads(line) for line in log.read_text().splitlines()]
    fates = [fate for _, fate in calls]
    assert {"dropped", "late", "garbage", "died", "answered"} <= set(fates)
    assert deaths[:2] == [9, 9]
    spent = result.progress.spent
    assert result.progress.state is StudyState.SUCCEEDED
    assert result.progress.search_rows == 600
    assert (spent.calls, spent.rows) == (len(calls), sum(rows for rows, _ in calls))
    lost = [rows for rows, fate in calls if fate != "answered"]
    assert (spent.retries, spent.retried_rows) == (len(lost), sum(lost))
    free = maximise(
        oracle=Simulated(batch_size=16),
        generator=Pixels((3, 8, 8)),
        targets=["units:0", "units:3"],
        queries_per_target=300,
        device="cpu",
    )
    assert [b.score for b in result.best] == [b.score for b in free.best]
