"""Studies with an oracle: run some at a time, through trouble, and across restarts."""

import logging
import threading
import time
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest
import torch

from blackbox_am.client import connect
from blackbox_am.core.oracle import Oracle
from blackbox_am.core.study_events import StateChanged
from blackbox_am.core.types import StopReason, StudyState
from blackbox_am.errors import (
    OracleFailed,
    OracleTimeout,
    OracleUnavailable,
    OutOfMemory,
    StoreError,
)
from blackbox_am.oracles.http import Http
from blackbox_am.oracles.simulated import Simulated
from blackbox_am.service import running
from blackbox_am.service.registry import StudyRegistry
from blackbox_am.service.workers import Workers
from blackbox_am.stores import SQLStore


@dataclass(frozen=True)
class Moody(Oracle):
    """A simulated oracle whose calls raise or do what `script` says, one entry a call."""

    kind: ClassVar[str] = "moody"
    excluded_from_identity: ClassVar[frozenset[str]] = frozenset({"script", "calls"})
    script: list
    calls: list

    def describe(self):
        return Simulated().describe()

    def observe(self, stimuli, units):
        self.calls.append(threading.current_thread().name)
        error = self.script.pop(0) if self.script else None
        if callable(error):
            error()
        elif error is not None:
            raise error
        return Simulated().observe(stimuli, units)


@pytest.fixture
def moody(config):
    oracle = Moody([], [])
    config.catalogue.add_oracle("moody", oracle)
    return oracle


@pytest.fixture
def client(config, moody):
    with running(config) as address, connect(address) as found:
        yield found


def search(client, oracle="moody", **changes):
    wanted = {"targets": ["units:0"], "generator": "pixels", "queries_per_target": 100, "seed": 0}
    return client.create(oracle=oracle, **{**wanted, **changes})


@pytest.mark.parametrize("error", [OracleUnavailable("no line"), OracleTimeout("too slow")])
def test_a_short_absence_is_waited_for(client, moody, error):
    # The second call of the probe, and the second generation.
    moody.script.extend([None, error, error, None, None, None, error, error])
    calm = search(client, "sim")
    study = search(client)
    end = study.wait(30)
    assert (end.state, end.search_rows) == (StudyState.SUCCEEDED, 100)
    assert moody.script == []
    calm.wait(30)
    assert study.best()[0].score == calm.best()[0].score


def test_a_long_absence_pauses_the_study(client, moody):
    moody.script.extend([None] + [OracleUnavailable("no line to the rig")] * 3)
    study = search(client)
    end = study.wait(30)
    assert (end.state, end.stop_reason) == (StudyState.PAUSED, StopReason.ORACLE)
    assert "no line to the rig" in end.message
    assert "3 attempts" in end.message
    study.resume()
    assert study.wait(30).state is StudyState.SUCCEEDED


@pytest.mark.parametrize("error", [OracleFailed("the model said no"), OutOfMemory("too big")])
def test_one_failure_of_an_oracle_does_not_end_a_study(client, moody, error):
    moody.script.extend([None, error])
    study = search(client)
    assert study.wait(30).state is StudyState.SUCCEEDED
    said = [event.message for event in study.watch() if isinstance(event, StateChanged)]
    assert f"waiting 0.01 s for the oracle after attempt 1: oracle 'moody': {error.message}" in said


@pytest.mark.parametrize(
    ("error", "attempts"),
    [
        (OracleFailed("the model said no"), 3),
        (OutOfMemory("too big a batch"), 2),
        (ZeroDivisionError("division by zero"), 3),
    ],
)
def test_an_oracle_that_goes_on_failing_pauses_the_study(client, moody, error, attempts):
    moody.script.extend([None] + [error] * attempts)
    study = search(client)
    end = study.wait(30)
    assert (end.state, end.stop_reason) == (StudyState.PAUSED, StopReason.ORACLE)
    assert end.message.startswith(f"paused after {attempts} attempts: oracle 'moody': ")
    assert str(error) in end.message
    assert not moody.script
    study.resume()
    assert study.wait(30).state is StudyState.SUCCEEDED


def test_a_bug_of_ours_is_logged_and_not_told(client, monkeypatch, caplog):
    def boom(*_, **__):
        raise KeyError("secret")

    monkeypatch.setattr("blackbox_am.service.workers.loop.run", boom)
    with caplog.at_level(logging.ERROR):
        end = search(client).wait(30)
    assert (end.state, end.message) == (
        StudyState.FAILED,
        "internal error; see the server's log",
    )
    assert "KeyError: 'secret'" in caplog.text


def test_all_rows_nan_pause_the_study(client, config):
    class Blind(Moody):
        def observe(self, stimuli, units):
            return torch.full((len(stimuli), len(units)), torch.nan)

    config.catalogue.add_oracle("blind", Blind([], []))
    end = search(client, "blind").wait(30)
    assert end.state is StudyState.PAUSED
    assert "nan" in end.message


def test_some_run_at_once_the_others_in_turn(client, moody):
    studies = [search(client, seed=i) for i in range(5)]
    assert [s.wait(30).state for s in studies] == [StudyState.SUCCEEDED] * 5
    assert len({name for name in moody.calls if name.startswith("worker")}) <= 2


def test_resumed_before_the_worker_saw_the_pause(client):
    study = search(client, "slow", queries_per_target=300)
    next(iter(study.watch(after_sequence=3)))
    for _ in range(3):
        study.pause()
        study.resume()
    assert study.wait(30).state is StudyState.SUCCEEDED


def test_clients_and_a_worker_may_share_a_study(client):
    study = search(client, "slow", queries_per_target=400)
    told = 0
    while (candidates := study.ask(2, stimuli=True)).state.active:
        if len(candidates):
            stimuli = torch.from_numpy(candidates.latents).reshape(-1, 3, 8, 8)
            scores = 1 - (stimuli - Simulated().optimum(0)).square().mean((1, 2, 3))
            try:
                told += study.tell(candidates, scores.numpy()).accepted
            except Exception:
                break  # it ended meanwhile
        else:
            time.sleep(0.01)
    assert study.wait(30).search_rows == 400


@pytest.mark.parametrize("oracle", ["slow", "sim"])
def test_a_stopped_server_leaves_studies_to_the_next(config, tmp_path, oracle):
    stored = replace(config, store=str(tmp_path / "s.sqlite3"))
    with running(stored) as address, connect(address) as client:
        study = search(client, oracle, queries_per_target=600, study_id="mine")
        next(iter(study.watch(after_sequence=6)))
    with running(stored) as address, connect(address) as client:
        end = client.study("mine").wait(30)
        assert (end.state, end.search_rows) == (StudyState.SUCCEEDED, 600)
        broken = client.study("mine").best()[0]
        calm = search(client, "sim", queries_per_target=600)
        calm.wait(30)
        assert calm.best()[0].score == broken.score
    store = SQLStore(stored.store)
    records = store.read("mine")
    store.close()
    assert [r.sequence for r in records] == list(range(1, len(records) + 1))


def test_a_study_whose_oracle_is_gone_fails_with_the_reason(config, tmp_path, moody):
    stored = replace(config, store=str(tmp_path / "s.sqlite3"))
    moody.script.extend([None, None, *[OracleTimeout("x")] * 100])
    slow = replace(stored, retry_delays=(60.0,))
    with running(slow) as address, connect(address) as client:
        study = search(client, study_id="mine")
        next(iter(study.watch(after_sequence=3)))
    config.catalogue._oracles.slots.pop("moody")
    with running(stored) as address, connect(address) as client:
        end = client.study("mine").wait(30)
        assert end.state is StudyState.FAILED
        assert "no oracle 'moody'" in end.message


def test_two_servers_on_one_store_do_not_spoil_a_journal(config, tmp_path):
    stored = replace(config, store=str(tmp_path / "s.sqlite3"))
    with (
        running(stored) as one,
        running(stored) as two,
        connect(one) as first,
        connect(two) as second,
    ):
        study = search(first, "slow", queries_per_target=300, study_id="mine")
        other = second.study("mine")
        other.pause()
        assert other.progress().state is StudyState.PAUSED
        other.resume()
        end = other.wait(30)
        assert end.state is StudyState.SUCCEEDED
        assert end.search_rows == 300
        sequences = [e.sequence for e in study.watch()]
        assert sequences == list(range(1, end.sequence + 1))


class Limited(BaseHTTPRequestHandler):
    """An API that lets nobody ask twice, and then says when to come back."""

    protocol_version = "HTTP/1.1"
    retry_after: ClassVar[str] = "2"
    asked: ClassVar[list[tuple[float, int]]] = []

    def log_message(self, *args):
        pass

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        status = 429 if len(self.asked) == 1 else 200
        self.asked.append((time.monotonic(), status))
        body = b'{"scores": [0.5]}' if status == 200 else b"slow down"
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if status == 429:
            self.send_header("Retry-After", self.retry_after)
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def limited(config):
    """The handler; oracle "limited" asks it."""
    Limited.asked = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Limited) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        oracle = Http(f"http://127.0.0.1:{server.server_port}", (3, 8, 8), units=1)
        config.catalogue.add_oracle("limited", oracle)
        yield Limited
        oracle.close()
        server.shutdown()
        thread.join()


def test_an_api_that_says_when_to_come_back_is_obeyed_and_the_study_says_so(
    config, limited, monkeypatch
):
    monkeypatch.setattr(limited, "retry_after", "2")
    with running(config) as address, connect(address) as client:
        study = search(client, "limited", targets=["scores:0"], queries_per_target=4)
        said = [event.message for event in study.watch() if isinstance(event, StateChanged)]
        end = study.wait(30)
    assert end.state is StudyState.SUCCEEDED
    url = config.catalogue.oracle("limited").url
    times = [at for at, _ in limited.asked]
    # The probe asks for two rows twice, and again from its beginning after the refusal.
    assert [status for _, status in limited.asked] == [200, 429, *[200] * 8]
    assert times[2] - times[1] >= 2
    (note,) = [message for message in said if message.startswith("waiting")]
    assert note == (
        f"waiting 2 s for the oracle after attempt 1: oracle 'limited': the API at "
        f"{url}: it answered 429: 'slow down'; it says to come back in 2 s"
    )
    assert end.message == "", "it waits no more"
    assert (end.spent.calls, end.spent.rows) == (10, 10)
    assert (end.spent.retries, end.spent.retried_rows) == (2, 2)
    assert end.search_rows == 4


def test_an_api_that_wants_to_be_left_alone_for_long_pauses_the_study(config, limited, monkeypatch):
    monkeypatch.setattr(limited, "retry_after", "7200")
    with running(config) as address, connect(address) as client:
        study = search(client, "limited", targets=["scores:0"], queries_per_target=4)
        end = study.wait(30)
    assert (end.state, end.stop_reason) == (StudyState.PAUSED, StopReason.ORACLE)
    assert "slow down" in end.message
    assert end.message.endswith("it says to come back in 7200 s; resume it in 7200 s")
    assert len(limited.asked) == 2


def test_a_study_that_waits_may_be_cancelled(config, limited, monkeypatch):
    monkeypatch.setattr(limited, "retry_after", "60")
    with running(config) as address, connect(address) as client:
        study = search(client, "limited", targets=["scores:0"], queries_per_target=4)
        while "waiting 60 s for the oracle" not in study.progress().message:
            time.sleep(0.02)
        study.cancel()
        monkeypatch.setattr(limited, "asked", [(0, 200)] * 2)
        others = [search(client, seed=i, oracle="sim") for i in range(2)]
        assert [s.wait(10).state for s in others] == [StudyState.SUCCEEDED] * 2


@pytest.mark.parametrize("oracle_away", [False, True])
def test_a_worker_survives_a_store_that_is_away_for_long(config, moody, monkeypatch, oracle_away):
    away = threading.Event()
    looks = []

    def reached(self, study_id):
        if away.is_set():
            if threading.current_thread().name.startswith("worker"):
                looks.append(study_id)
            raise StoreError("the store is away")
        return published(self, study_id)

    published = StudyRegistry.published
    monkeypatch.setattr(StudyRegistry, "published", reached)
    monkeypatch.setattr("blackbox_am.service.workers.AGAIN_SECONDS", 0.01)

    def leaves():
        away.set()
        raise OracleUnavailable("no line") if oracle_away else StoreError("the store is away")

    moody.script.extend([None, None, leaves])
    with running(replace(config, workers=1)) as address, connect(address) as client:
        study = search(client)
        deadline = time.monotonic() + 20
        while len(looks) < 12:  # more than the attempts of one turn
            assert time.monotonic() < deadline, "the thread of the oracle has ended"
            time.sleep(0.01)
        away.clear()
        assert study.wait(30).state is StudyState.SUCCEEDED


def test_calls_of_a_resumed_study_are_not_abandoned(client, moody, monkeypatch):
    """The study is resumed after the pause was seen and before its worker has returned."""
    released, resumed, errors = threading.Event(), threading.Event(), []

    def resume_first(self, study_id, attempts, error):
        errors.append(error)
        if not resumed.is_set():
            study.resume()
            resumed.set()
        return waited(self, study_id, attempts, error)

    waited = Workers._waited
    monkeypatch.setattr(Workers, "_waited", resume_first)
    monkeypatch.setattr("blackbox_am.service.workers.LOOK_SECONDS", 0.05)
    moody.script.extend([None, None, released.wait])
    study = search(client)
    while len(moody.calls) < 3:
        time.sleep(0.01)
    study.pause()
    assert resumed.wait(20)
    end = study.wait(30)
    released.set()
    assert end.state is StudyState.SUCCEEDED
    assert len(errors) == 1
    assert "was abandoned" in str(errors[0])
