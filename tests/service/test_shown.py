"""What a study has shown is streamed in parts, which end when the caller goes away."""

import threading

import pytest

from blackbox_am.client import connect
from blackbox_am.evaluation.rendering import ROWS
from blackbox_am.service import shown as service_shown
from blackbox_am.studies import shown as studies_shown
from blackbox_am.v1 import study_service_pb2 as pb

WAIT = 60.0
"""Seconds after which a test fails."""


@pytest.fixture(scope="module")
def study(address):
    """Target 0 reaches its score in the first generation, target 1 never does."""
    with connect(address) as client:
        found = client.create(
            targets=["units:0", "0.01 * units:1"],
            oracle="sim",
            generator="pixels",
            optimizer="snes",
            parameters={"population": 4 * ROWS},
            queries_per_target=8 * ROWS,
            target_score=0.2,
        )
        found.wait(WAIT, progress=False)
        yield found


def test_a_generation_without_wanted_candidates_is_an_empty_message(raw, study):
    assert [target.queries for target in study.progress().targets] == [4 * ROWS, 8 * ROWS]
    request = pb.ReadHistoryRequest(name=f"studies/{study.id}", targets=[0], with_stimuli=True)
    _, *parts = raw.studies.ReadHistory(request)
    sizes = [(part.rows.generation, len(part.rows.candidate_ids)) for part in parts]
    assert sizes == [*[(0, ROWS)] * 4, (1, 0)]
    assert len(list(study.rows(targets=[0], stimuli=True))) == 4 * ROWS


def test_a_cancelled_history_renders_no_further_part(raw, study, monkeypatch):
    rendered, second, ended, goes_on = [], *(threading.Event() for _ in range(3))
    render, prepared = studies_shown.render, service_shown._prepared

    def held_up(generator, latents, targets):
        rendered.append(len(latents))
        if len(rendered) == 2:
            second.set()
            assert goes_on.wait(WAIT)
        return render(generator, latents, targets)

    class Noticed(service_shown._Prepared):
        """Its last reference is that of the call."""

        def __del__(self):
            ended.set()

    monkeypatch.setattr(studies_shown, "render", held_up)
    monkeypatch.setattr(service_shown, "_prepared", lambda *them: Noticed(*prepared(*them)))
    call = raw.studies.ReadHistory(
        pb.ReadHistoryRequest(name=f"studies/{study.id}", with_stimuli=True)
    )
    assert next(call).header.targets
    assert len(next(call).rows.candidate_ids) == ROWS
    assert second.wait(WAIT)
    call.cancel()
    assert ended.wait(WAIT)
    goes_on.set()
    next(study.rows(latents=False))  # the server answers
    assert rendered == [ROWS, ROWS]
