"""Calls that fail or are slow for one study: its reader is told, and everything else goes on."""

import time

import numpy as np
import pytest

from blackbox_am.client import GenerationClosed
from blackbox_am.errors import ServerUnavailable, StoreCorrupt
from blackbox_am.testing.gateway import GatewayProcess
from tests.gateway.faults import Faults
from tests.gateway.reading import Reader, until


@pytest.fixture(scope="module")
def faults(address):
    with Faults(address) as found:
        yield found


@pytest.fixture(scope="module")
def behind(faults, tmp_path_factory):
    with GatewayProcess(tmp_path_factory.mktemp("faults"), faults.address) as found:
        yield found


@pytest.fixture
def second(client):
    """A study that runs until it is deleted."""
    found = client.create(
        targets=["units:0"],
        oracle="slow",
        generator="pixels",
        optimizer="random",
        parameters={"population": 10},
        queries_per_target=100_000,
    )
    yield found
    found.delete()


def test_a_study_that_cannot_be_read_does_not_keep_a_reader_from_others(
    behind, faults, study, second
):
    key = ("GetStudy", "ended")
    faults.problems[key] = StoreCorrupt("the journal of study 'ended' is damaged")
    with Reader(behind.url, f"ended,{second.id}", "ended=7") as reader:
        reader.until(lambda r: len(r.of("generation")) > 2 and r.of("problem"))
        assert reader.of("problem")[0] == {
            "study": "ended",
            "message": "the journal of study 'ended' is damaged",
        }
        assert {one["study"] for one in reader.of("generation")} == {second.id}
        del faults.problems[key]
        reader.until(lambda r: any(one["id"] == "ended" for one in r.of("study")))
        told = [one["sequence"] for one in reader.of("generation") if one["study"] == "ended"]
    assert len(reader.of("problem")) == 1
    closed = [event.sequence for event in study.watch() if isinstance(event, GenerationClosed)]
    assert told == [sequence for sequence in closed if sequence > 7]  # what it missed before


def test_a_slow_study_does_not_keep_a_reader_from_others(behind, faults, study, second):
    faults.delays["GetStudy", "ended"] = 6
    with Reader(behind.url, f"ended,{second.id}") as reader:
        reader.until(lambda r: len(r.of("generation")) > 2)
        assert not any(one["id"] == "ended" for one in reader.of("study"))
        reader.until(lambda r: any(one["id"] == "ended" for one in r.of("study")))
    del faults.delays["GetStudy", "ended"]


def test_a_feed_ends_when_its_last_reader_leaves_in_a_slow_call(behind, faults, client):
    """The study is quiet, so that the feed waits for events when it asks for the state."""
    study = client.create(targets=["n:0"], generator="pixels", queries_per_target=1000)
    with Reader(behind.url, study.id) as reader:
        reader.until(lambda r: r.of("study"))
        for _ in range(3):  # the state after the last one is told a second later
            candidates = study.ask()
            study.tell(candidates, np.zeros(len(candidates)))
        reader.until(lambda r: r.of("generation"))
        key = ("GetStudy", study.id)
        faults.delays[key] = 2
        asked = faults.calls.count(key)
        until(lambda: faults.calls.count(key) > asked)
        time.sleep(0.2)  # it waits for the answer
    del faults.delays[key]
    until(lambda: faults.streams == 0)
    assert "failed, and starts again" not in behind.log.read_text("utf-8")
    study.delete()


def test_one_failed_call_does_not_make_the_server_away(behind, faults, study):
    """The server answers all other calls, and this one a second later."""
    key = ("GetStudy", "ended")
    faults.problems[key] = ServerUnavailable("too much at once")
    with Reader(behind.url, "ended") as reader:
        asked = faults.calls.count(key)
        until(lambda: faults.calls.count(key) > asked + 2)
        del faults.problems[key]
        reader.until(lambda r: r.of("study"))
        assert reader.of("server")[-1] == {"connected": True, "message": ""}


def test_a_reader_is_told_first_how_the_server_is_now(behind, faults, study):
    """Between two readers the server goes, and comes back."""
    for away in (False, True, False):
        if away:
            faults.stop()
        with Reader(behind.url, "ended") as reader:
            reader.until(lambda r: r.of("server"))
            assert reader.of("server")[0]["connected"] is not away, reader.of("server")
        if away:
            faults.start()
