"""Studies are created once, listed in pages, steered, read and forgotten."""

import threading

import numpy as np
import pytest

from blackbox_am.client import connect
from blackbox_am.core.spec import ObjectiveSpec, SpaceSpec
from blackbox_am.core.types import StopReason, StudyState
from blackbox_am.errors import (
    InvalidInput,
    InvalidSpec,
    NotFound,
    StudyClosed,
    StudyExists,
)
from blackbox_am.oracles.simulated import Simulated
from blackbox_am.service import running
from blackbox_am.v1 import study_pb2
from blackbox_am.v1 import study_service_pb2 as pb


@pytest.fixture
def own(config):
    """A client of a server of this test's own."""
    with running(config) as address, connect(address) as client:
        yield client


def by_clients(client, study_id=None, **changes):
    wanted = {"targets": ["u:0"], "space": SpaceSpec("normal", 4), "queries_per_target": 24}
    return client.create(study_id=study_id, **{**wanted, **changes})


def test_a_study_runs_to_its_end(client):
    study = client.create(
        targets=["units:0", "units:3"], generator="pixels", oracle="sim", queries_per_target=200
    )
    end = study.wait(30)
    assert (end.state, end.stop_reason) == (StudyState.SUCCEEDED, StopReason.BUDGET)
    assert [t.queries for t in end.targets] == [200, 200]
    assert end.search_rows == 400
    generations = list(study.generations())
    assert [g.generation for g in generations] == list(range(end.generation))
    assert sum(g.scores.size for g in generations) == 400
    best = study.best(stimuli=True, dtype="float32")
    assert [b.score for b in best] == [t.best_score for t in end.targets]
    for index, unit in enumerate((0, 3)):
        stimulus = best[index].stimulus
        assert best[index].score == max(g.scores[index].max() for g in generations)
        measured = 1 - np.square(stimulus - Simulated().optimum(unit).numpy()).mean()
        np.testing.assert_allclose(best[index].score, measured, rtol=1e-5)
    assert study.best()[0].stimulus is None


def test_the_whole_study_is_shown(raw, spec):
    study = raw.studies.CreateStudy(pb.CreateStudyRequest(spec=spec, study_id="whole")).study
    assert study.name == "studies/whole"
    assert study.spec.oracle == "sim"
    assert study.spec.optimizer.name == "auto"
    assert study.optimizer.name == "snes"
    assert study.optimizer.parameters["population"] == study.population
    assert not study.warning
    assert study.space.kind == study_pb2.SPACE_KIND_BOX
    assert study.space.dimension == 192
    assert list(study.stimulus_shape) == [3, 8, 8]
    assert study.population > 0
    assert study.create_time.seconds > 1_600_000_000


def test_the_same_study_is_created_once(client):
    first = by_clients(client, "twice")
    sequence = first.progress().sequence
    assert by_clients(client, "twice").id == "twice"
    assert first.progress().sequence == sequence
    with pytest.raises(StudyExists, match="another specification"):
        by_clients(client, "twice", seed=1)


def test_a_study_that_ended_is_still_the_same(client):
    study = by_clients(client, "ended", queries_per_target=8)
    study.cancel()
    assert by_clients(client, "ended", queries_per_target=8).progress().state is (
        StudyState.CANCELLED
    )
    with pytest.raises(StudyClosed, match="cancelled"):  # a larger budget would go on
        by_clients(client, "ended", queries_per_target=9)


def test_many_at_once_create_one(client):
    found, problems = [], []

    def create():
        try:
            found.append(by_clients(client, "crowd").id)
        except Exception as error:
            problems.append(error)

    threads = [threading.Thread(target=create) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (found, problems) == (["crowd"] * 8, [])
    assert client.study("crowd").progress().sequence == 1


def test_a_repeated_request_has_no_further_effect(raw, spec):
    request = pb.CreateStudyRequest(spec=spec, request_id="r1")
    names = {raw.studies.CreateStudy(request).study.name for _ in range(3)}
    assert len(names) == 1
    other = pb.CreateStudyRequest(spec=spec, request_id="r2")
    assert raw.studies.CreateStudy(other).study.name not in names


def test_validation_creates_nothing(own):
    study = by_clients(own, "ghost", validate_only=True)
    assert study.id == ""
    assert own.studies() == []
    with pytest.raises(InvalidSpec):
        by_clients(own, "ghost", validate_only=True, parameters={"nonsense": 1})


@pytest.mark.slow
def test_a_description_too_long_for_a_message_is_refused(own):
    long = ObjectiveSpec("mean", quantities=tuple("layer." * 10 + f"u:{i}" for i in range(5000)))
    with pytest.raises(InvalidSpec, match="split the targets") as found:
        own.create(targets=[long] * 10, space=SpaceSpec("normal", 2), validate_only=True)
    assert found.value.field == "spec.targets"


def test_listing_in_pages_and_by_state(config):
    with running(config) as address, connect(address) as client:
        for i in range(5):
            by_clients(client, f"s{i}")
        client.study("s3").cancel()
        assert [s.study_id for s in client.studies()] == ["s0", "s1", "s2", "s3", "s4"]
        assert [s.study_id for s in client.studies([StudyState.CANCELLED])] == ["s3"]
        assert client.studies([StudyState.FAILED]) == []
        stub = client._connection.studies
        pages, token = [], ""
        while True:
            answer = stub.ListStudies(pb.ListStudiesRequest(page_size=2, page_token=token))
            pages.append([s.name for s in answer.studies])
            token = answer.next_page_token
            if not token:
                break
        assert pages == [
            ["studies/s0", "studies/s1"],
            ["studies/s2", "studies/s3"],
            ["studies/s4"],
        ]


def test_pause_and_resume(client):
    study = client.create(
        targets=["units:0"], generator="pixels", oracle="slow", queries_per_target=3000
    )
    next(iter(study.watch(after_sequence=4)))
    paused = study.pause()
    assert (paused.state, paused.stop_reason) == (StudyState.PAUSED, StopReason.USER)
    assert study.pause().state is StudyState.PAUSED
    assert study.wait(0.1).state is StudyState.PAUSED
    settled = study.wait(0.1).generation
    assert study.wait(0.2).generation <= settled + 1
    assert study.resume().state in (StudyState.PENDING, StudyState.RUNNING)
    assert study.extend(target_score=0.1, queries_per_target=4000).state.active
    assert study.wait(30).stop_reason is StopReason.TARGET


def test_cancel_ends_for_good(client):
    study = client.create(
        targets=["units:0"], generator="pixels", oracle="slow", queries_per_target=10**6
    )
    assert study.cancel().state is StudyState.CANCELLED
    assert study.cancel().state is StudyState.CANCELLED
    for action in (study.pause, study.resume, lambda: study.extend(queries_per_target=10**7)):
        with pytest.raises(StudyClosed):
            action()


def test_extension_wakes_a_study_that_had_used_up_its_budget(client):
    study = client.create(
        targets=["units:0"], generator="pixels", oracle="sim", queries_per_target=30
    )
    assert study.wait(30).search_rows == 30
    with pytest.raises(InvalidSpec, match="only be raised"):
        study.extend(queries_per_target=20)
    study.extend(queries_per_target=70)
    end = study.wait(30)
    assert (end.state, end.search_rows) == (StudyState.SUCCEEDED, 70)
    assert study.spec().budget.queries_per_target == 70


def test_deletion_stops_and_forgets(client):
    study = client.create(
        targets=["units:0"],
        generator="pixels",
        oracle="slow",
        queries_per_target=10**6,
        study_id="gone",
    )
    next(iter(study.watch(after_sequence=4)))
    study.delete()
    for action in (study.progress, study.delete, study.pause, study.ask, study.best):
        with pytest.raises(NotFound):
            action()
    again = by_clients(client, "gone")
    assert again.progress().sequence == 1


def test_bests_in_pages(client):
    study = client.create(
        targets=[f"units:{i}" for i in range(10)],
        generator="pixels",
        oracle="sim",
        queries_per_target=20,
    )
    study.wait(30)
    stub, name = client._connection.studies, f"studies/{study.id}"
    first = stub.GetBest(pb.GetBestRequest(name=name, page_size=4))
    assert [b.target for b in first.best] == [0, 1, 2, 3]
    rest = stub.GetBest(pb.GetBestRequest(name=name, page_token=first.next_page_token))
    assert [b.target for b in rest.best] == [4, 5, 6, 7, 8, 9]
    assert rest.next_page_token == ""
    assert len(study.best()) == 10


def test_a_bare_space_has_no_stimuli(client):
    study = by_clients(client)
    for _ in range(1):
        candidates = study.ask()
        study.tell(candidates, np.zeros(len(candidates)))
    with pytest.raises(InvalidInput, match="bare space"):
        study.best(stimuli=True)
