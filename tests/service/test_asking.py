"""Clients evaluate: candidates under leases, measurements by id, the first one counts."""

import time

import grpc
import numpy as np
import pytest

from blackbox_am.core.candidate_ids import pack
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.core.types import StudyState
from blackbox_am.errors import InvalidInput, NotFound, ShapeMismatch, StudyClosed
from blackbox_am.evaluation.rendering import ROWS
from blackbox_am.generators.parametric.pixels import Pixels
from blackbox_am.rpc import status, tensors
from blackbox_am.v1 import study_service_pb2 as pb

P = 8


@pytest.fixture
def study(client):
    return client.create(
        targets=["u:0"],
        space=SpaceSpec("normal", 4),
        parameters={"population": P},
        queries_per_target=3 * P,
    )


def score(candidates):
    return -(candidates.latents**2).sum(1)


def test_a_whole_study_by_ask_and_tell(study):
    rows = 0
    while (candidates := study.ask(3)).state.active:
        assert candidates.latents.shape == (len(candidates), 4)
        told = study.tell(candidates, score(candidates))
        assert (told.accepted, told.repeated) == (len(candidates), 0)
        rows += told.accepted
    assert rows == 3 * P
    assert study.progress().state is StudyState.SUCCEEDED
    assert len(candidates) == 0
    best = max(g.scores.max() for g in study.generations())
    assert study.best()[0].score == best


def test_results_go_by_id_not_by_order(study):
    candidates = study.ask()
    order = np.arange(P)[::-1]
    study.tell([candidates.ids[i] for i in order], score(candidates)[order])
    (generation,) = study.generations()
    np.testing.assert_array_equal(generation.scores[0], score(candidates))


def test_nobody_gets_what_somebody_holds(study):
    first = study.ask(5)
    second = study.ask()
    assert len(second) == P - 5
    assert not set(first.ids) & set(second.ids)
    nothing = study.ask(timeout=0)
    assert (len(nothing), nothing.state, nothing.done) == (0, StudyState.RUNNING, False)
    assert 0 < nothing.retry_after <= 1.0
    assert nothing.latents.shape == (0, 4)
    assert study.renew(first) == 5
    study.tell(first.ids[:2], np.zeros(2))
    assert study.renew(first) == 3


def test_a_lease_runs_out(study):
    first = study.ask(lease=0.05)
    nothing = study.ask(timeout=0)
    assert nothing.retry_after <= 0.06
    again = study.ask()
    assert again.ids == first.ids
    np.testing.assert_array_equal(again.latents, first.latents)
    with pytest.raises(NotFound, match="run out"):
        study.renew(first)


@pytest.mark.parametrize("lease", [-1.0, 1e6])
def test_strange_leases_are_refused(study, lease):
    with pytest.raises(InvalidInput, match="lease_duration"):
        study.ask(lease=lease)


def test_a_negative_number_is_refused(study):
    with pytest.raises(InvalidInput, match="max_candidates"):
        study.ask(-1)


def test_the_first_result_counts(study):
    candidates = study.ask()
    study.tell(candidates.ids[:3], np.ones(3))
    told = study.tell(candidates.ids[:4], np.full(4, 5.0))
    assert (told.accepted, told.repeated) == (1, 3)
    twice = [candidates.ids[4]] * 2
    told = study.tell(twice, [7.0, 8.0])
    assert (told.accepted, told.repeated) == (1, 1)
    study.tell(candidates.ids[5:], np.zeros(3))
    (generation,) = study.generations()
    np.testing.assert_array_equal(generation.scores[0], [1, 1, 1, 5, 7, 0, 0, 0])


def test_a_failed_row_is_nan_and_is_data(study):
    candidates = study.ask()
    values = score(candidates)
    values[2] = np.nan
    assert study.tell(candidates, values).accepted == P
    assert study.progress().failed_rows == 1
    assert np.isnan(next(study.generations()).scores[0, 2])


@pytest.mark.parametrize("bad", [np.inf, -np.inf])
def test_infinity_is_refused_and_nothing_is_written(study, bad):
    candidates = study.ask()
    sequence = study.progress().sequence
    values = np.zeros((P, 1))
    values[3] = bad
    with pytest.raises(InvalidInput, match="row 3 holds an infinity"):
        study.tell(candidates, values)
    assert study.progress().sequence == sequence


def test_a_score_keeps_the_digits_of_float64(study):
    """Beyond the range of float32, and finer than its steps."""
    candidates = study.ask()
    values = np.full((P, 1), -1.5e6)
    values[3], values[4] = 1e300, -1.5e6 - 1e-9
    study.tell(candidates, values)
    scores = next(study.generations()).scores[0]
    assert scores[3] == 1e300
    assert scores[4] == -1.5e6 - 1e-9 != scores[0]


@pytest.mark.parametrize("shape", [(P, 2), (P - 1, 1), (P, 1, 1), (P,)])
def test_another_shape_is_refused(study, raw, shape):
    candidates = study.ask()
    request = pb.TellRequest(
        name=f"studies/{study.id}",
        candidate_ids=candidates.ids,
        activations=tensors.to_proto(np.zeros(shape, np.float32)),
    )
    with pytest.raises(grpc.RpcError) as found:
        raw.studies.Tell(request)
    assert isinstance(status.from_rpc_error(found.value), ShapeMismatch)


def test_another_dtype_is_refused(study, raw):
    candidates = study.ask()
    request = pb.TellRequest(
        name=f"studies/{study.id}",
        candidate_ids=candidates.ids,
        activations=tensors.to_proto(np.zeros((P, 1), np.int32)),
    )
    with pytest.raises(grpc.RpcError) as found:
        raw.studies.Tell(request)
    problem = status.from_rpc_error(found.value)
    assert isinstance(problem, ShapeMismatch)
    assert "int32" in problem.message
    with pytest.raises(ShapeMismatch, match="one number, or one row"):
        study.tell(candidates, ["a"] * P)


@pytest.mark.parametrize(
    ("candidate", "says"),
    [
        (pack(0, 0, 8), "never proposed"),
        (pack(0, 1, 0), "never proposed"),
        (pack(1, 0, 0), "never proposed"),
        (2**64 - 1, "never proposed"),
        (2**64, "expected ids of candidates"),
        (-1, "expected ids of candidates"),
        ("nonsense", "expected ids of candidates"),
        (0.5, "expected ids of candidates"),
    ],
)
def test_strange_ids_spoil_the_whole_message(study, candidate, says):
    candidates = study.ask()
    sequence = study.progress().sequence
    ids = [*candidates.ids[:3], candidate]
    with pytest.raises(InvalidInput, match=says) as found:
        study.tell(ids, np.zeros(4))
    assert found.value.field == "candidate_ids"
    assert study.progress().sequence == sequence


def test_generations_may_be_mixed(study):
    first = study.ask()
    study.tell(first, score(first))
    second = study.ask()
    told = study.tell([*first.ids[:2], *second.ids], np.zeros(2 + P))
    assert (told.accepted, told.repeated, told.generation) == (P, 2, 2)


def test_nothing_may_be_told(study):
    told = study.tell([], np.zeros((0, 1)))
    assert (told.accepted, told.repeated) == (0, 0)


def test_a_paused_study_hands_out_nothing_and_still_listens(study):
    candidates = study.ask()
    study.pause()
    nothing = study.ask(timeout=0)
    assert (len(nothing), nothing.state) == (0, StudyState.PAUSED)
    assert nothing.retry_after > 0
    assert study.tell(candidates, score(candidates)).accepted == P
    study.resume()
    assert len(study.ask()) == P


def test_a_closed_study_takes_nothing(study):
    candidates = study.ask()
    study.cancel()
    with pytest.raises(StudyClosed, match="cancelled"):
        study.tell(candidates, score(candidates))
    nothing = study.ask()
    assert (len(nothing), nothing.state, nothing.retry_after) == (0, StudyState.CANCELLED, 0)


def test_stimuli_come_rendered(client, study):
    drawn = client.create(targets=["u:0"], generator="pixels", queries_per_target=100)
    candidates = drawn.ask(3, stimuli=True)
    assert candidates.stimuli.shape == (3, 3, 8, 8)
    expected = np.rint(candidates.latents.clip(0, 1) * 255).reshape(3, 3, 8, 8)
    np.testing.assert_array_equal(candidates.stimuli, expected)
    with pytest.raises(InvalidInput, match="bare space"):
        study.ask(stimuli=True)


def test_a_candidate_is_rendered_once_for_each_request(client, monkeypatch):
    rendered, render = [], Pixels.render

    def counted(pixels, latents, *more):
        rendered.append(len(latents))
        return render(pixels, latents, *more)

    monkeypatch.setattr(Pixels, "render", counted)
    study = client.create(
        targets=["u:0"],
        generator="pixels",
        parameters={"population": P},
        queries_per_target=3 * P,
    )
    first = study.ask(P, stimuli=True, lease=0.01)
    assert rendered == [ROWS]
    time.sleep(0.02)
    again = study.ask(P, stimuli=True)
    assert rendered == [ROWS] * 2
    assert np.array_equal(first.ids, again.ids)
    assert np.array_equal(first.stimuli, again.stimuli)
    study.tell(again, np.arange(float(P)))
    shown = [row.stimulus for row in study.rows(stimuli=True)]
    unrounded = study.ask(P, stimuli=True, dtype="float32")
    assert np.abs(np.stack(shown) * 255 - first.stimuli).max() <= 0.5
    again = client.render("pixels", unrounded.latents, dtype="float32")
    assert np.array_equal(unrounded.stimuli, again)


def test_codes_travel_as_whole_numbers(client):
    study = client.create(
        targets=["u:0"],
        space=SpaceSpec("categorical", 6, categories=5),
        optimizer="random",
        queries_per_target=10,
    )
    candidates = study.ask()
    assert candidates.latents.dtype == np.int64
    assert candidates.latents.min() >= 0
    assert candidates.latents.max() < 5


def test_answers_fit_into_default_messages(client, raw):
    study = client.create(
        targets=[f"u:{i}" for i in range(100)],
        space=SpaceSpec("normal", 1000),
        optimizer="random",
        parameters={"population": 16},
        queries_per_target=16,
    )
    seen = set()
    while (answer := raw.studies.Ask(pb.AskRequest(name=f"studies/{study.id}"))).candidate_ids:
        assert answer.ByteSize() < 4 * 2**20
        seen.update(answer.candidate_ids)
    assert len(seen) == 1600


def test_short_rows_are_filled_with_nan(client):
    from blackbox_am.core.spec import ObjectiveSpec

    study = client.create(
        targets=["u:0", ObjectiveSpec("mean", quantities=("u:1", "u:2"))],
        space=SpaceSpec("normal", 4),
        parameters={"population": P},
        queries_per_target=P,
    )
    candidates = study.ask()
    values = [[1.0, np.nan] if target == 0 else [2.0, 4.0] for target in candidates.targets]
    study.tell(candidates, values)
    (generation,) = study.generations()
    np.testing.assert_array_equal(generation.scores, [[1.0] * P, [3.0] * P])
    told = [event for event in study.watch() if type(event).__name__ == "RowsTold"]
    assert [event.failed for event in told] == [0]
