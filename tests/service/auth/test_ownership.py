"""What belongs to another caller does not exist: studies, groups, artifacts, leases, requests."""

import numpy as np
import pytest

from blackbox_am.core.spec import GeneratorSpec
from blackbox_am.core.types import StudyState
from blackbox_am.errors import NotFound, StudyExists
from blackbox_am.v1 import study_service_pb2 as pb
from tests.service.auth.conftest import begin


def said(call, *arguments, **more):
    with pytest.raises(NotFound) as caught:
        call(*arguments, **more)
    return str(caught.value)


def test_a_study_of_another_is_not_there(ann, bob, lab):
    mine = begin(ann, study_id="secret-plan")
    assert mine.progress().owner == "ann"
    assert "secret-plan" not in {study.study_id for study in bob.studies()}
    assert "secret-plan" in {study.study_id for study in ann.studies()}
    theirs = said(bob.study, "secret-plan")
    assert theirs == said(bob.study, "nothing-here").replace("nothing-here", "secret-plan")
    other = type(mine)(bob._connection, "secret-plan")
    for verb in (
        other.pause,
        other.resume,
        other.cancel,
        other.delete,
        other.ask,
        other.best,
        lambda: other.extend(queries_per_target=9000),
        lambda: next(iter(other.watch())),
        lambda: list(other.generations()),
    ):
        assert said(verb) == theirs
    with lab.connect("boss") as boss:
        (seen,) = [study for study in boss.studies() if study.study_id == "secret-plan"]
        assert seen.owner == "ann"
        boss.study("secret-plan").pause()
    assert mine.progress().state is StudyState.PAUSED
    assert mine.progress().owner == "ann"


def test_an_id_belongs_to_the_first(ann, bob, lab):
    begin(ann, study_id="wanted", seed=1)
    with pytest.raises(StudyExists, match="is taken"):
        begin(bob, study_id="wanted", seed=1)  # even with the same specification
    begin(ann, study_id="wanted", seed=1)
    ann.study("wanted").delete()
    assert begin(bob, study_id="wanted", seed=1).progress().owner == "bob"
    said(ann.study, "wanted")
    assert lab.store.claims.owner("studies/wanted") == "bob"


def test_a_failed_creation_claims_nothing(ann, lab):
    with pytest.raises(NotFound):
        begin(ann, study_id="broken", generator="no-such")
    assert lab.store.claims.owner("studies/broken") == ""


def test_a_search_cannot_start_from_a_study_of_another(ann, bob):
    begin(ann, study_id="source")
    with pytest.raises(NotFound) as caught:
        begin(bob, start="source")
    assert caught.value.field == "spec.start.study"


def test_requests_and_leases_of_two_callers_do_not_meet(ann, bob, lab):
    spec = pb.CreateStudyRequest(request_id="r-1")
    spec.spec.generator.name = "pixels"
    spec.spec.targets.add(kind="mean", quantities=["u:0"])
    spec.spec.budget.queries_per_target = 100
    names = [
        client._connection.call(client._connection.studies.CreateStudy, spec).study.name
        for client in (ann, bob, ann)
    ]
    assert names[0] == names[2] != names[1]
    study, held = names[0].partition("/")[2], []
    for who in ("ann", "boss"):  # both may evaluate the study, each with a client of its own
        with lab.connect(who) as client:
            ask = pb.AskRequest(name=f"studies/{study}", client_id="rig", session_id=who)
            answer = client._connection.call(client._connection.studies.Ask, ask)
            held.append(set(answer.candidate_ids))
    assert held[0]
    assert not held[0] & held[1]


def test_groups(ann, bob):
    members = {"a": {"targets": ["u:0"], "generator": "pixels", "queries_per_target": 100}}
    group = ann.create_group(members, group_id="mine")
    assert group.progress().owner == "ann"
    assert ann.study("mine-a").progress().owner == "ann"
    assert [found.group_id for found in bob.groups()] == []
    assert [found.group_id for found in ann.groups()] == ["mine"]
    other = type(group)(bob._connection, "mine")
    for verb in (other.progress, other.pause, other.cancel, other.delete):
        said(verb)
    with pytest.raises(StudyExists, match="is taken"):
        bob.create_group(members, group_id="mine")
    # A member's id that another caller took after its deletion is not the group's any more.
    ann.study("mine-a").delete()
    begin(bob, study_id="mine-a")
    (member,) = group.progress().members
    assert member.state is None
    group.cancel()
    assert bob.study("mine-a").progress().state.active
    group.delete()
    assert bob.study("mine-a").progress().state.active
    assert bob.create_group(members | {"b": members["a"]}, group_id="mine-2").progress()


def test_artifacts(ann, bob, lab):
    digest = ann.write_array(np.zeros((3, 8, 8), np.float32))
    assert ann.read_artifact(digest)
    said(bob.read_artifact, digest)
    generator = GeneratorSpec(name="pixels", inputs={"x": digest})
    with pytest.raises(NotFound) as caught:
        begin(bob, generator=generator)
    assert caught.value.field == "spec.generator.inputs.x"
    assert bob.write_array(np.zeros((3, 8, 8), np.float32)) == digest
    assert bob.read_artifact(digest)
    assert lab.store.claims.writers(digest) == {"ann", "bob"}


def test_another_server_takes_over_with_the_owners(lab, ann):
    study = begin(ann, oracle="sim", targets=["units:0"], queries_per_target=40_000)
    with lab.serving(audit_log=None) as address:
        with lab.connect("bob", address) as bob:
            said(bob.study, study.id)
        with lab.connect("ann", address) as there:
            other = there.study(study.id)
            assert other.progress().owner == "ann"
            other.cancel()  # the first server owns it, and answers over the store
            assert study.wait(timeout=20).state is StudyState.CANCELLED
