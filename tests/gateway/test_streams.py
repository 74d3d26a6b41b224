"""Streams tell every reader what happens, once, in order, from one watch of the server."""

import itertools
from contextlib import ExitStack, suppress

import numpy as np
import pytest

from blackbox_am.client import BudgetChanged, GenerationClosed, StateChanged
from blackbox_am.errors import NotFound
from tests.gateway.conftest import WRITES
from tests.gateway.reading import Reader, until


@pytest.fixture
def search(client):
    """A study of about two seconds, made anew for each test."""
    made = []

    def new(queries=200, **others):
        study = client.create(
            targets=["units:0", "units:1"],
            oracle="slow",
            generator="pixels",
            optimizer="random",
            parameters={"population": 10},
            queries_per_target=queries,
            **others,
        )
        made.append(study)
        return study

    yield new
    for study in made:
        with suppress(NotFound):
            study.delete()


def ended(reader):
    return any(state["state"] == "succeeded" for state in reader.of("state"))


def test_a_stream_from_the_beginning(gateway, search):
    study = search()
    with Reader(gateway.url, study.id) as reader:
        reader.until(ended)
        reader.until(lambda r: r.of("study")[-1]["state"] == "succeeded")
    assert reader.of("server")[0] == {"connected": True, "message": ""}
    assert reader.of("study")[0]["id"] == study.id
    told = reader.of("generation")
    sequences = [one["sequence"] for one in told]
    assert sequences == sorted(set(sequences))
    closed = {event.sequence: event for event in study.watch() if type(event) is GenerationClosed}
    for one in told:
        event = closed[one["sequence"]]
        assert (one["generation"], one["targets"]) == (event.generation, [0, 1])
        assert one["rows"] == 20 * (one["generation"] + 1)
        assert one["best_so_far"] == list(event.best_so_far)
    assert told[-1]["generation"] == 19  # the last one is never left out
    assert reader.last_id == f"{study.id}={study.progress().sequence}"


def test_a_reader_that_comes_back_misses_nothing(gateway, study):
    """As after a reload: all generations and notes after the last known event, each once."""
    with Reader(gateway.url, "ended", "ended=7") as reader:
        reader.until(lambda r: r.of("study"))
    later = [event for event in study.watch() if event.sequence > 7]
    closed = [event for event in later if isinstance(event, GenerationClosed)]
    told = reader.of("generation")
    assert [one["sequence"] for one in told] == [event.sequence for event in closed]
    assert [one["best_scores"] for one in told] == [list(event.best_scores) for event in closed]
    assert [one["mean_scores"] for one in told] == [list(event.mean_scores) for event in closed]
    states = [event for event in later if isinstance(event, StateChanged)]
    assert [one["sequence"] for one in reader.of("state")] == [e.sequence for e in states]
    ids = [event.id for event in reader.events if event.id]
    assert ids[-1] == f"ended={study.progress().sequence}"
    assert all(int(a.split("=")[1]) <= int(b.split("=")[1]) for a, b in itertools.pairwise(ids))


@pytest.mark.slow
def test_a_reader_in_the_middle_gets_each_event_once(gateway, search):
    study = search(400)
    with Reader(gateway.url, study.id) as first:
        first.until(lambda r: len(r.of("generation")) > 3)
        known = first.last_id
    number = int(known.partition("=")[2])
    until(lambda: study.progress().sequence > number + 8)
    with Reader(gateway.url, study.id, known) as second:
        second.until(ended)
    sequences = [one["sequence"] for one in first.of("generation") + second.of("generation")]
    assert sequences == sorted(set(sequences))
    assert second.of("generation")[-1]["generation"] == 39


def test_readers_share_one_watch(gateway, search, http):
    study = search(1000)
    with ExitStack() as stack:
        readers = [stack.enter_context(Reader(gateway.url, study.id)) for _ in range(5)]
        for reader in readers:
            reader.until(lambda r: len(r.of("generation")) > 2)
        found = http.get("/api/server").json()["gateway"]
        assert (found["streams"], found["watched_studies"]) == (5, 1)
    wait_until_idle(http)


def wait_until_idle(http):
    def idle():
        found = http.get("/api/server").json()["gateway"]
        return (found["streams"], found["watched_studies"]) == (0, 0)

    until(idle)


@pytest.mark.slow
def test_an_extended_study_goes_on_in_the_stream(gateway, http, search):
    study = search(40)
    study.wait()
    with Reader(gateway.url, study.id) as reader:
        reader.until(lambda r: r.of("study"))
        path = f"/api/studies/{study.id}:extend"
        answer = http.post(path, json={"queries_per_target": 80}, headers=WRITES)
        assert answer.status_code == 200
        reader.until(ended)
    assert reader.of("generation")[-1]["generation"] == 7
    assert any("raised to 80" in note["text"] for note in reader.of("note"))
    assert any(isinstance(event, BudgetChanged) for event in study.watch())


@pytest.mark.slow
def test_the_listing_tells_changes(gateway, search):
    with Reader(gateway.url, "*list") as reader:
        reader.until(lambda r: r.of("listing"))
        assert reader.of("listing")[0]["reset"]
        study = search(100)
        reader.until(lambda r: any(row["id"] == study.id for row in rows(r)))
        reader.until(
            lambda r: any(row["id"] == study.id and row["state"] == "succeeded" for row in rows(r))
        )
        study.delete()
        reader.until(lambda r: study.id in r.of("listing")[-1]["deleted"])
        assert sum(one["reset"] for one in reader.of("listing")) == 1


def rows(reader):
    return [row for one in reader.of("listing") for row in one["studies"]]


def test_an_unknown_and_a_deleted_study(gateway, search):
    study = search(2000)
    with Reader(gateway.url, f"nowhere,{study.id}") as reader:
        reader.until(lambda r: r.of("generation"))
        assert reader.of("deleted")[0]["study"] == "nowhere"
        study.delete()
        reader.until(lambda r: len(r.of("deleted")) > 1)
    assert reader.of("deleted")[-1]["study"] == study.id


@pytest.mark.slow
def test_several_studies_in_one_stream(gateway, search):
    studies = [search(100) for _ in range(3)]
    with Reader(gateway.url, ",".join(study.id for study in studies) + ",*list") as reader:
        reader.until(lambda r: sum(s["state"] == "succeeded" for s in r.of("state")) == 3)
    last = dict(part.split("=") for part in reader.last_id.split(";"))
    assert last == {study.id: str(study.progress().sequence) for study in studies}
    for study in studies:
        mine = [g["generation"] for g in reader.of("generation") if g["study"] == study.id]
        assert mine == sorted(set(mine))
        assert mine[-1] == 9


def test_a_wrong_id_is_ignored(gateway, study):
    with Reader(gateway.url, "ended", "x;ended=;=3;ended=abc;other=4") as reader:
        reader.until(lambda r: r.of("study"))
    assert not reader.of("generation")


def test_an_id_of_an_older_study_of_this_name(gateway, search, study):
    """A study that was deleted and created again has smaller numbers."""
    with Reader(gateway.url, "ended", "ended=999999") as reader:
        reader.until(lambda r: r.of("study"))
    assert reader.last_id == f"ended={study.progress().sequence}"
    assert np.isfinite(reader.of("study")[0]["best_score"])
