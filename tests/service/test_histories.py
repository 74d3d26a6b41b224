"""Thinned curves, the best of the past and lists of events say what the whole journal says."""

import numpy as np
import pytest

from blackbox_am.client import GenerationClosed, connect
from blackbox_am.errors import InvalidInput, NotFound
from blackbox_am.rpc import status, tensors
from blackbox_am.v1 import study_service_pb2 as pb


@pytest.fixture(scope="module")
def study(address):
    """Three targets, of which one or more finish early and come back when the patience grows."""
    with connect(address) as client:
        found = client.create(
            targets=["units:0", "units:1", "units:2"],
            generator="pixels",
            oracle="sim",
            optimizer="random",
            parameters={"population": 5},
            queries_per_target=400,
            patience=3,
            seed=5,
        )
        found.wait()
        found.extend(patience=12)
        found.wait()
        assert any(target.queries < 400 for target in found.progress().targets)
        yield found


@pytest.fixture(scope="module")
def truth(study):
    """For each generation: the best (score, generation, row) of each target so far."""
    best, history = {}, []
    for generation in study.generations():
        for target, scores in zip(generation.targets, generation.scores, strict=True):
            row = int(np.argmax(scores))
            if target not in best or scores[row] > best[target][0]:
                best[target] = (float(scores[row]), generation.generation, row)
        history.append((dict(best), generation))
    return history


def asked(raw, study, **fields):
    return raw.studies.GetCurves(pb.GetCurvesRequest(name=f"studies/{study.id}", **fields))


def test_targets_came_back(truth):
    """What the other tests stand on: some target takes no part for a while."""
    parts = [generation.targets for _, generation in truth]
    assert any(
        target not in parts[middle] and any(target in later for later in parts[middle:])
        for target in range(3)
        for middle in range(len(parts))
    )


def test_best_of_every_generation(study, truth):
    for best, generation in truth:
        found = study.best(generation=generation.generation)
        assert {b.target: (b.score, *b.candidate[1::2]) for b in found} == best
        assert all(b.recheck is None and b.values is None for b in found)
    last = {b.target: b.latent.tobytes() for b in study.best()}
    assert {b.target: b.latent.tobytes() for b in study.best(generation=10**6)} == last


def test_best_of_the_past_has_its_stimulus(study, truth, client):
    middle = truth[len(truth) // 3][1].generation
    (found,) = study.best(True, targets=[1], generation=middle, dtype="float32")
    measured = client.observe("sim", found.stimulus[None], ["units:1"])
    assert measured[0, 0] == pytest.approx(found.score, abs=1e-6)
    (drawn,) = client.render("pixels", found.latent[None], dtype="float32")
    assert (drawn == found.stimulus).all()


@pytest.mark.parametrize("count", [2, 3, 7, 10_000])
def test_curves_are_thinned(raw, study, truth, count):
    found = asked(raw, study, max_generations=count)
    assert len(found.generations) == min(count, len(truth))
    assert found.closed_generations == len(truth)
    assert (found.generations[0], found.generations[-1]) == (0, truth[-1][1].generation)
    best = tensors.from_proto(found.best_so_far)
    means = tensors.from_proto(found.mean_scores)
    rows = np.cumsum([generation.scores.size for _, generation in truth])
    numbers = [generation.generation for _, generation in truth]
    for column, number in enumerate(found.generations):
        place = numbers.index(number)
        so_far, generation = truth[place]
        assert best[:, column].tolist() == [so_far[target][0] for target in range(3)]
        assert found.search_rows[column] == rows[place]
        for target in range(3):
            mean = means[target, column]
            if target in generation.targets:
                scores = generation.scores[generation.targets.index(target)]
                assert mean == pytest.approx(scores.mean())
            else:
                assert np.isnan(mean)


def test_curves_of_some_targets_after_an_event(raw, study, truth):
    closed = [event for event in study.watch() if isinstance(event, GenerationClosed)]
    found = asked(raw, study, targets=[2, 0], after_sequence=closed[4].sequence)
    assert list(found.targets) == [0, 2]
    assert list(found.generations) == [g.generation for _, g in truth if g.generation > 4]
    later = [event for event in closed if event.generation > 4]
    assert list(found.sequences) == [event.sequence for event in later]
    alone = tensors.from_proto(found.best_scores)[1]
    expected = [dict(zip(e.targets, e.best_scores, strict=True)).get(2, np.nan) for e in later]
    np.testing.assert_array_equal(alone, expected)
    nothing = asked(raw, study, after_sequence=10**6)
    assert not nothing.generations
    assert list(nothing.best_so_far.shape) == [3, 0]


def test_events_come_newest_first(raw, study):
    every = list(study.watch())
    request = pb.ListEventsRequest(name=f"studies/{study.id}", page_size=7, with_generations=True)
    seen = []
    while True:
        answer = raw.studies.ListEvents(request)
        seen += answer.events
        request.page_token = answer.next_page_token
        if not request.page_token:
            break
    assert [event.sequence for event in seen] == [e.sequence for e in reversed(every)]
    short = raw.studies.ListEvents(pb.ListEventsRequest(name=f"studies/{study.id}"))
    kinds = [event.WhichOneof("event") for event in short.events]
    assert kinds[-1] == "created"
    assert "budget_changed" in kinds
    assert not {"generation_closed", "rows_told", "generation_opened"} & set(kinds)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"targets": [3]}, "targets"),
        ({"max_generations": 1}, "max_generations"),
        ({"max_generations": 10_001}, "max_generations"),
        ({"after_sequence": -1}, "after_sequence"),
    ],
)
def test_wrong_curves(raw, study, fields, field):
    with pytest.raises(Exception) as caught:
        asked(raw, study, **fields)
    error = status.from_rpc_error(caught.value)
    assert isinstance(error, InvalidInput)
    assert error.field == field


def test_wrong_history(raw, study, client):
    with pytest.raises(InvalidInput, match="generation must be 0 or more, got -3"):
        study.best(generation=-3)
    with pytest.raises(Exception) as caught:
        raw.studies.ListEvents(pb.ListEventsRequest(name="studies/nowhere"))
    assert isinstance(status.from_rpc_error(caught.value), NotFound)
