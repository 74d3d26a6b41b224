"""What a study says it asked of its oracle is what the oracle says it was asked."""

import random
import threading
import time
from dataclasses import dataclass, field, replace
from typing import ClassVar

import pytest

from blackbox_am.client import connect
from blackbox_am.core.oracle import Oracle
from blackbox_am.core.types import Accounting, StopReason, StudyState
from blackbox_am.errors import OracleFailed, OracleUnavailable
from blackbox_am.oracles.simulated import Simulated
from blackbox_am.oracles.wrappers.cache import Cache
from blackbox_am.oracles.wrappers.delivery.quota import Quota
from blackbox_am.oracles.wrappers.delivery.retry import Retry
from blackbox_am.oracles.wrappers.delivery.timeout import Timeout
from blackbox_am.service import running
from blackbox_am.service.config import load_config
from blackbox_am.stores import SQLStore
from blackbox_am.studies import reports

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
