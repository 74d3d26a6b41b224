"""Watchers see every event once, in order, however many they are and whenever they come."""

import threading
import time
from dataclasses import replace

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from blackbox_am.client import GenerationClosed, RowsTold, Study, connect
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.core.types import StudyState
from blackbox_am.errors import InvalidInput, NotFound
from blackbox_am.rpc import status
from blackbox_am.service import running
from blackbox_am.v1 import study_service_pb2 as pb


@pytest.fixture
def search(client):
    return client.create(
        targets=["units:0", "units:1"], generator="pixels", oracle="slow", queries_per_target=400
    )


def other_than_generations(events):
    return [e for e in events if not isinstance(e, GenerationClosed | RowsTold)]


def test_several_watchers_see_the_same_without_gaps(search):
    seen = [[] for _ in range(6)]

    def watch(events):
        events.extend(search.watch())

    threads = [threading.Thread(target=watch, args=(events,)) for events in seen]
    for thread in threads:
        thread.start()
        time.sleep(0.02)
    for thread in threads:
        thread.join()
    last = search.progress().sequence
    assert [e.sequence for e in seen[0]] == list(range(1, last + 1))
    assert all(events == seen[0] for events in seen)
    assert list(search.watch()) == seen[0]
    assert [e.time for e in seen[0]] == sorted(e.time for e in seen[0])


def test_events_tell_what_happened(search):
    closed = [e for e in search.watch() if isinstance(e, GenerationClosed)]
    generations = list(search.generations())
    assert [e.generation for e in closed] == [g.generation for g in generations]
    for event, generation in zip(closed, generations, strict=True):
        assert event.targets == (0, 1)
        assert event.best_scores == tuple(generation.scores.max(1))
        assert event.mean_scores == pytest.approx(generation.scores.mean(1))
        assert event.total_rows == generation.scores.size


@pytest.mark.parametrize("after", [1, 5, 17])
def test_watching_from_the_middle(search, after):
    events = list(search.watch(after))
    assert [e.sequence for e in events] == list(range(after + 1, search.progress().sequence + 1))
    assert list(search.watch(search.progress().sequence)) == []


def test_watching_what_cannot_be_watched(client):
    study = client.create(targets=["u:0"], space=SpaceSpec("normal", 2))
    with pytest.raises(InvalidInput, match="0 or more"):
        next(iter(study.watch(-1)))
    with pytest.raises(NotFound):
        next(iter(Study(client._connection, "nobody").watch()))


def test_a_snapshot_then_what_follows(search, raw):
    next(iter(search.watch(after_sequence=6)))
    request = pb.WatchStudyRequest(name=f"studies/{search.id}", snapshot_first=True)
    updates = list(raw.studies.WatchStudy(request))
    study = updates[0].study
    assert study.name == f"studies/{search.id}"
    assert study.sequence >= 7
    sequences = [update.event.sequence for update in updates[1:]]
    assert sequences == list(range(study.sequence + 1, search.progress().sequence + 1))


def test_fast_generations_are_passed_over_but_for_the_last(search):
    started = time.monotonic()
    events = list(search.watch(min_interval=0.15))
    seconds = time.monotonic() - started
    everything = list(search.watch())
    thinned = [e for e in events if isinstance(e, GenerationClosed)]
    assert other_than_generations(events) == other_than_generations(everything)
    assert 1 < len(thinned) <= seconds / 0.15 + 2
    assert thinned[-1] == [e for e in everything if isinstance(e, GenerationClosed)][-1]
    assert [e.sequence for e in events] == sorted(e.sequence for e in events)


def test_the_last_generation_is_told_without_another_event(client, raw):
    study = client.create(
        targets=["u:0"],
        space=SpaceSpec("normal", 2),
        parameters={"population": 4},
        queries_per_target=100,
    )
    request = pb.WatchStudyRequest(
        name=f"studies/{study.id}", min_interval=Duration(nanos=200_000_000)
    )
    call = raw.studies.WatchStudy(request, timeout=10)
    for _ in range(3):
        study.tell(study.ask(), [0.0] * 4)
    generations = []
    for update in call:
        if update.event.HasField("generation_closed"):
            generations.append(update.event.generation_closed.generation)
            if generations[-1] == 2:
                break
    call.cancel()
    assert generations[-1] == 2


def test_a_deleted_study_ends_its_watches(client, raw):
    study = client.create(targets=["u:0"], space=SpaceSpec("normal", 2))
    call = raw.studies.WatchStudy(pb.WatchStudyRequest(name=f"studies/{study.id}"), timeout=10)
    assert next(call).event.HasField("created")
    study.delete()
    with pytest.raises(grpc.RpcError) as found:
        next(call)
    assert isinstance(status.from_rpc_error(found.value), NotFound)


def test_open_watches_starve_nobody(client):
    study = client.create(targets=["u:0"], space=SpaceSpec("normal", 2), queries_per_target=16)
    ended = []

    def watch():
        ended.append(list(study.watch())[-1].state)

    threads = [threading.Thread(target=watch) for _ in range(60)]
    for thread in threads:
        thread.start()
    # A watch ends with the study only: if the watches starved the calls, this would not end.
    while (candidates := study.ask()).state.active:
        study.tell(candidates, candidates.latents[:, 0])
    for thread in threads:
        thread.join(20)
    assert ended == [StudyState.SUCCEEDED] * 60


def test_a_study_that_only_the_store_knows_can_be_watched(config, tmp_path):
    stored = replace(config, store=str(tmp_path / "s.sqlite3"))
    with running(stored) as address, connect(address) as client:
        study = client.create(
            targets=["units:0"],
            generator="pixels",
            oracle="sim",
            queries_per_target=60,
            study_id="kept",
        )
        before = list(study.watch())
    with running(stored) as address, connect(address) as client:
        assert list(client.study("kept").watch()) == before
        assert list(client.study("kept").watch(4)) == before[4:]
