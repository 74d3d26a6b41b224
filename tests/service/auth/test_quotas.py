"""What a caller may use, and the log of what callers changed."""

import threading

import numpy as np
import pytest

from blackbox_am.core.transform_spec import TransformSpec, TransformsSpec
from blackbox_am.errors import InvalidSpec, NotFound, QuotaExceeded
from blackbox_am.service.auth.principals import Principal, Role, acting_as
from blackbox_am.service.auth.quotas import Quota, Quotas
from blackbox_am.service.config import load_config
from blackbox_am.stores import SQLStore
from blackbox_am.studies import shown as studies_shown
from tests.service.auth.conftest import begin

ANN = Principal("ann", Role.RUNNER)


@pytest.fixture
def small(lab):
    with lab.connect("small") as client:
        yield client


def refused(call, *arguments, **more):
    with pytest.raises(QuotaExceeded) as caught:
        call(*arguments, **more)
    return caught.value


def measured(client, **more):
    return begin(client, oracle="sim", targets=["units:0"], **more)


def test_the_rows_of_a_history_are_rendered_within_the_quota(small, monkeypatch):
    study = begin(small, queries_per_target=25, parameters={"population": 25}, optimizer="snes")
    study.tell(study.ask(25), np.arange(25.0))
    rendered = []
    render = studies_shown.render

    def counted(generator, latents, targets):
        rendered.append(len(latents))
        return render(generator, latents, targets)

    monkeypatch.setattr(studies_shown, "render", counted)
    assert len(list(study.rows(stimuli=True))) == 25
    assert rendered == [10, 10, 5]
    held = threading.Event()

    def held_up(generator, latents, targets):
        assert not held.is_set()
        held.set()
        refused(small.sample, "pixels", 1)  # 10 of 10 rows are being rendered
        return render(generator, latents, targets)

    monkeypatch.setattr(studies_shown, "render", held_up)
    next(study.rows(stimuli=True))
    assert held.is_set()
    study.delete()


def test_queries_and_studies(small, ann):
    study = measured(small, queries_per_target=60)
    error = refused(measured, small, queries_per_target=60)
    assert "has 40 of 100 queries left, and this needs 60" in error.message
    assert error.retry_after is None  # waiting does not help
    assert "has 40 of 100" in refused(study.extend, queries_per_target=101).message
    study.extend(queries_per_target=70)
    assert measured(small, study_id=study.id, queries_per_target=60).id == study.id  # counted once
    stimuli = np.zeros((6, 3, 8, 8), np.float32)
    small.observe("sim", stimuli, ["units:0"])
    with pytest.raises(NotFound):
        small.observe("none", stimuli, ["units:0"])
    assert "needs 16" in refused(small.probe, "sim").message  # two times 8 rows
    begin(small, queries_per_target=10_000)  # rows that clients measure cost no queries
    assert "2 of 2 studies" in refused(begin, small).message
    members = {"a": {"targets": ["u:0"], "generator": "pixels", "queries_per_target": 9}}
    assert "2 of 2 studies" in refused(small.create_group, members, group_id="no").message
    assert small.groups() == []
    small.study(study.id).delete()
    assert "has 24 of 100" in refused(measured, small, queries_per_target=60).message
    begin(small)
    for _ in range(4):
        measured(ann)


def test_copies_of_a_candidate_are_queries(small):
    copies = {"transforms": TransformsSpec((TransformSpec("jitter"),), copies=4)}
    error = refused(measured, small, queries_per_target=30, **copies)
    assert "and this needs 120" in error.message


def test_rows_in_flight_and_bytes(small):
    stimuli = np.zeros((11, 3, 8, 8), np.float32)
    error = refused(small.observe, "sim", stimuli, ["units:0"])
    assert "may compute 10 rows at a time" in error.message
    refused(small.sample, "pixels", 11)
    refused(small.render, "pixels", np.zeros((11, 192), np.float32))
    assert len(small.sample("pixels", 10)) == 10
    small.write_artifact(b"x" * 90)
    error = refused(small.write_artifact, b"y" * 20)
    assert "has stored 90 of 100 bytes" in error.message
    small.write_artifact(b"z" * 10)


def test_waiting_helps_where_it_says_so():
    now, store = [0.0], SQLStore(":memory:")
    limits = {"default": Quota(requests_per_second=2, rows_in_flight=5)}
    quotas = Quotas(limits, store.claims, lambda: now[0])
    for _ in range(100):
        quotas.request()  # the server itself
    with acting_as(ANN):
        for _ in range(4):
            quotas.request()
        error = refused(quotas.request)
        assert error.retry_after == pytest.approx(0.5)
        now[0] += error.retry_after
        quotas.request()
        refused(quotas.request)
        with quotas.rows(4):
            error = refused(quotas.rows(2).__enter__)
            assert error.retry_after is not None
        with quotas.rows(5):
            pass
    with acting_as(Principal("bob", Role.RUNNER)):
        quotas.request()


def test_quotas_stand_in_the_configuration(tmp_path):
    file = tmp_path / "server.toml"
    file.write_text("[quotas.default]\nstudies = 3\n[quotas.ann]\nrequests_per_second = 0.5\n")
    quotas = load_config(file).quotas
    assert quotas == {"default": Quota(studies=3), "ann": Quota(requests_per_second=0.5)}
    file.write_text("[quotas.ann]\nstudys = 3\n")
    with pytest.raises(InvalidSpec, match="did you mean 'studies'"):
        load_config(file)
    file.write_text("[quotas.ann]\nstudies = -3\n")
    with pytest.raises(InvalidSpec) as caught:
        load_config(file)
    assert caught.value.field == "quotas.ann.studies"
