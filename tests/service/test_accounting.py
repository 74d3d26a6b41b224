"""What a study says it asked of its oracle is what the oracle says it was asked."""

import json
import random
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field, replace
from typing import ClassVar

import pytest

from blackbox_am.client import connect
from blackbox_am.core.oracle import Oracle
from blackbox_am.core.types import Accounting, StopReason, StudyState
from blackbox_am.errors import OracleFailed, OracleUnavailable
from blackbox_am.generators.parametric.pixels import Pixels
from blackbox_am.oracles.grpc.remote import Remote
from blackbox_am.oracles.simulated import Simulated
from blackbox_am.oracles.wrappers.cache import Cache
from blackbox_am.oracles.wrappers.delivery.quota import Quota
from blackbox_am.oracles.wrappers.delivery.retry import Retry
from blackbox_am.oracles.wrappers.delivery.timeout import Timeout
from blackbox_am.service import running
from blackbox_am.service.config import load_config
from blackbox_am.stores import SQLStore
from blackbox_am.studies import reports
from blackbox_am.studies.local import maximise
from tests import forked

PROBE = 4
"""Rows that show before the search whether an oracle repeats itself."""


@dataclass(frozen=True)
class Faulty(Oracle):
    """Drops a tenth of its calls, is late for a tenth, and answers nonsense to a twentieth.

    From call `dead[0]` to `dead[1]` it is gone. It writes down every call, and what came of it.
    """

    kind: ClassVar[str] = "faulty"
    billable: ClassVar[bool] = True
    excluded_from_identity: ClassVar[frozenset[str]] = frozenset({"dead", "log", "lock"})
    dead: tuple[int, int] = (12, 20)
    late_seconds: float = 0.9
    log: list = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def describe(self):
        return Simulated(batch_size=16).describe()

    def observe(self, stimuli, units):
        with self.lock:
            number = len(self.log)
            chance = random.Random(number).random()
            fate = (
                "dead"
                if self.dead[0] <= number < self.dead[1]
                else "dropped"
                if chance < 0.1
                else "late"
                if chance < 0.2
                else "garbage"
                if chance < 0.25
                else "answered"
            )
            self.log.append((len(stimuli), fate))
        answer = Simulated().observe(stimuli, units)
        if fate in ("dead", "dropped"):
            raise OracleUnavailable(f"call {number} is lost")
        if fate == "late":
            time.sleep(self.late_seconds)
        return answer[:, :0] if fate == "garbage" else answer

    @property
    def rows(self):
        return sum(rows for rows, _ in self.log)

    def count(self, fate):
        return sum(found == fate for _, found in self.log)


class Calm(Faulty):
    """The same without the faults."""

    def observe(self, stimuli, units):
        with self.lock:
            self.log.append((len(stimuli), "answered"))
        return Simulated().observe(stimuli, units)


def guarded(oracle, attempts=4):
    return Retry(
        Timeout(oracle, 0.3), attempts, first_seconds=0.005, longest_seconds=1, failures=True
    )


def search(client, oracle, **changes):
    wanted = {
        "targets": ["units:0", "units:3"],
        "generator": "pixels",
        "queries_per_target": 300,
        "seed": 0,
    }
    return client.create(oracle=oracle, **{**wanted, **changes})


def test_a_study_on_a_faulty_oracle_ends_with_the_counts_of_its_log(config, tmp_path):
    faulty = Faulty()
    config.catalogue.add_oracle("faulty", guarded(faulty))
    stored = replace(config, store=str(tmp_path / "s.sqlite3"), retry_delays=(0.01,) * 8)
    with running(stored) as address, connect(address) as client:
        study = search(client, "faulty")
        end = study.wait(60)
        assert end.state is StudyState.SUCCEEDED, end.message
        calm = search(client, "sim")
        assert calm.wait(60).state is StudyState.SUCCEEDED
        assert [b.score for b in study.best()] == [b.score for b in calm.best()]
        generations = list(study.generations())
    for fate in ("dropped", "late", "garbage", "dead"):
        assert faulty.count(fate) > 0, fate
    assert end.search_rows == 600
    assert (end.spent.calls, end.spent.rows) == (len(faulty.log), faulty.rows)
    needed = 2 + sum(-(-g.scores.size // 16) for g in generations)  # it was measured first
    assert end.spent.calls - end.spent.retries == needed
    assert end.spent.rows - end.spent.retried_rows == 600 + PROBE
    assert end.spent.retries >= len(faulty.log) - faulty.count("answered")
    store = SQLStore(stored.store)
    sequences = [record.sequence for record in store.read(study.id)]
    assert sequences == list(range(1, len(sequences) + 1))
    assert reports.load(store, study.id).spent == end.spent, "it is in the journal"
    assert end.spent.probe_rows == PROBE
    store.close()


def test_the_accounts_go_on_after_a_restart(config, tmp_path):
    stored = replace(config, store=str(tmp_path / "s.sqlite3"))
    first, second = Faulty((10**9, 10**9)), Faulty((10**9, 10**9))
    for faulty in (first, second):
        config.catalogue.add_oracle("faulty", guarded(faulty, attempts=10))
        with running(stored) as address, connect(address) as client:
            if faulty is first:
                study = search(client, "faulty", study_id="mine")
                next(iter(study.watch(after_sequence=12)))
            else:
                end = client.study("mine").wait(60)
    assert end.state is StudyState.SUCCEEDED
    assert end.spent.calls == len(first.log) + len(second.log)
    assert end.spent.rows == first.rows + second.rows
    assert end.search_rows == 600
    assert end.spent.rows - end.spent.retried_rows == 600 + PROBE


def test_a_study_whose_oracle_fails_says_what_it_cost(config):
    class Dead(Faulty):
        def observe(self, stimuli, units):
            self.log.append((len(stimuli), "failed"))
            raise OracleFailed("broken")

    dead = Dead()
    config.catalogue.add_oracle("dead", dead)
    with running(config) as address, connect(address) as client:
        end = search(client, "dead").wait(30)
    assert end.state is StudyState.PAUSED
    assert (end.spent.calls, end.spent.rows) == (3, dead.rows)
    assert end.search_rows == 0


def test_what_a_cancelled_study_had_measured_is_on_its_bill(config):
    asked, released = threading.Event(), threading.Event()

    class Slow(Faulty):
        def observe(self, stimuli, units):
            self.log.append((len(stimuli), "answered"))
            asked.set()
            released.wait(20)
            return Simulated().observe(stimuli, units)

    oracle = Slow()
    config.catalogue.add_oracle("slow", oracle)
    with running(config) as address, connect(address) as client:
        study = search(client, "slow")
        assert asked.wait(20)
        study.cancel()
        released.set()
        deadline = time.monotonic() + 20
        while not (end := study.progress()).spent.calls and time.monotonic() < deadline:
            time.sleep(0.01)
    assert end.state is StudyState.CANCELLED
    assert (end.spent.calls, end.spent.rows) == (len(oracle.log), oracle.rows)


def test_studies_share_a_cache_and_pay_once(config, tmp_path):
    calm = Calm()
    cache = Cache(Quota(calm, cost_per_row=0.25), str(tmp_path / "c.sqlite3"), model="faulty")
    config.catalogue.add_oracle("cached", cache)
    with running(config) as address, connect(address) as client:
        one = search(client, "cached").wait(60)
        again = search(client, "cached").wait(60)
    calls = len(calm.log) - 2
    assert one.spent == Accounting(calls, 604, cost=151.0, probe_rows=PROBE, loss_rows=600)
    # Whether a model repeats itself, no cache can tell.
    assert again.spent == Accounting(
        2, PROBE, cache_hits=600, cost=1.0, probe_rows=PROBE, loss_rows=600
    )
    assert calm.rows == 600 + 2 * PROBE


def test_studies_at_once_have_accounts_of_their_own(config):
    oracle = Calm()
    config.catalogue.add_oracle("shared", guarded(oracle))
    with running(config) as address, connect(address) as client:
        studies = [search(client, "shared", seed=i, queries_per_target=100) for i in range(4)]
        ends = [study.wait(60) for study in studies]
    assert [end.message for end in ends] == [""] * 4
    assert [end.spent.rows for end in ends] == [200 + PROBE] * 4
    assert sum(end.spent.calls for end in ends) == len(oracle.log)


def test_a_study_stops_with_the_bill(config):
    config.catalogue.add_oracle(
        "dear", Quota(Simulated(), rows=100, cost_per_row=0.02, currency="EUR")
    )
    with running(config) as address, connect(address) as client:
        study = search(client, "dear")
        end = study.wait(30)
        assert study.best()
    assert (end.state, end.stop_reason) == (StudyState.PAUSED, StopReason.BUDGET)
    assert "of 100 rows were asked" in end.message
    assert f"for {end.spent.rows * 0.02:.10g} EUR" in end.message
    assert end.spent.cost == pytest.approx(end.spent.rows * 0.02)
    assert 0 < end.spent.rows <= 100


def test_wrappers_stand_in_the_operators_file(tmp_path):
    path = tmp_path / "server.toml"
    path.write_text(
        f"""
        [oracles.mine]
        kind = "simulated"

        [[oracles.mine.wrap]]
        kind = "cache"
        path = "{tmp_path / "answers.sqlite3"}"

        [[oracles.mine.wrap]]
        kind = "retry"
        attempts = 3
        """
    )
    oracle = load_config(path).catalogue.oracle("mine")
    assert oracle == Retry(Cache(Simulated(), str(tmp_path / "answers.sqlite3")), 3)
    oracle.close()


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
