"""Callers at the same time: every study has its owner, and no quota is exceeded."""

import secrets
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import numpy as np
import pytest

from blackbox_am.errors import BlackboxError, InvalidInput, QuotaExceeded, StudyExists
from blackbox_am.service import creating
from blackbox_am.service.auth.quotas import Quota
from blackbox_am.service.grouping import Grouping
from blackbox_am.v1 import study_service_pb2 as pb
from tests.service.auth.conftest import begin

ROUNDS = 12


def at_once(calls):
    """The results of calls that begin at the same time; errors of this package are results."""
    ready = threading.Barrier(len(calls))

    def run(call):
        ready.wait()
        try:
            return call()
        except BlackboxError as error:
            return error

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(run, calls))


def once(function, before):
    """`function`, with a call of `before` in front of its first call."""
    calls = [before]

    def wrapped(*arguments, **more):
        while calls:
            calls.pop()()
        return function(*arguments, **more)

    return wrapped


def rows_of(client, study_id):
    """The budget of a study."""
    request = pb.GetStudyRequest(name=f"studies/{study_id}")
    found = client._connection.call(client._connection.studies.GetStudy, request)
    return found.study.spec.budget.queries_per_target


def test_a_refused_creation_does_not_take_the_owner_away(ann, lab):
    for number in range(ROUNDS):
        name = f"race-{number}"
        calls = [lambda s=s, name=name: begin(ann, study_id=name, seed=s) for s in (1, 2, 1, 2)]
        found = at_once(calls)
        assert sum(isinstance(one, StudyExists) for one in found) == 2, found
        assert lab.store.claims.owner(f"studies/{name}") == "ann"
        assert ann.study(name).progress().owner == "ann"


def test_an_id_goes_to_one_of_two(ann, bob, lab):
    for number in range(ROUNDS):
        name = f"both-{number}"
        calls = [lambda c=c, name=name: begin(c, study_id=name, seed=1) for c in (ann, bob)]
        found = at_once(calls)
        names = ["ann", "bob"]
        (lost,) = [place for place, one in enumerate(found) if isinstance(one, StudyExists)]
        assert found[1 - lost].progress().owner == names[1 - lost]
        assert lab.store.claims.owner(f"studies/{name}") == names[1 - lost]


def test_a_study_that_another_creates_meanwhile_is_not_extended(ann, bob, monkeypatch):
    meanwhile = once(creating._checked, lambda: begin(bob, study_id="late", seed=1))
    monkeypatch.setattr(creating, "_checked", meanwhile)
    with pytest.raises(StudyExists, match="is taken"):
        begin(ann, study_id="late", seed=1, queries_per_target=900)
    assert rows_of(bob, "late") == 200


def test_a_group_that_another_creates_meanwhile_is_not_shown(ann, bob, monkeypatch):
    members = {"a": {"targets": ["u:0"], "generator": "pixels", "queries_per_target": 9, "seed": 1}}
    seeded = once(Grouping._seeded, lambda: bob.create_group(members, group_id="late"))
    monkeypatch.setattr(Grouping, "_seeded", seeded)
    with pytest.raises(StudyExists, match="is taken"):
        ann.create_group(members, group_id="late")
    assert bob.group("late").progress().owner == "bob"


def test_quotas_hold_for_calls_at_the_same_time(lab, bob):
    quota = Quota(studies=3, queries=350, stored_bytes=100)
    more = {"oracle": "sim", "targets": ["units:0"], "queries_per_target": 100}
    for study in bob.studies():
        bob.study(study.study_id).delete()
    with ExitStack() as stack:
        # Two servers of one store.
        limited = {"quotas": {"bob": quota}, "audit_log": None}
        addresses = [stack.enter_context(lab.serving(**limited)) for _ in range(2)]
        bobs = [stack.enter_context(lab.connect("bob", address)) for address in addresses]
        assert lab.store.claims.ordered("bob") == 0
        found = at_once([lambda c=c: begin(c, **more) for c in bobs * 4])
        assert sum(not isinstance(one, QuotaExceeded) for one in found) == 3, found
        assert lab.store.claims.ordered("bob") == 300
        found = at_once([lambda c=c: c.write_artifact(secrets.token_bytes(30)) for c in bobs * 4])
        assert sum(isinstance(one, str) for one in found) == 3, found
        assert lab.store.claims.stored_bytes("bob") == 90


def test_a_larger_budget_is_ordered_whichever_way(lab):
    more = {"oracle": "sim", "targets": ["units:0"], "study_id": "growing", "seed": 1}
    with lab.connect("small") as small:
        begin(small, **more, queries_per_target=60)
        with pytest.raises(QuotaExceeded, match="has 40 of 100 queries left, and this needs 50"):
            begin(small, **more, queries_per_target=110)
        begin(small, **more, queries_per_target=90)
        assert lab.store.claims.ordered("small") == 90
        begin(small, **more, queries_per_target=90)
        assert lab.store.claims.ordered("small") == 90
        assert rows_of(small, "growing") == 90


def test_rows_are_counted_if_the_oracle_is_asked(lab, ann):
    stimuli, before = np.zeros((6, 3, 8, 8), np.float32), lab.store.claims.ordered("ann")
    for wrong, units in (
        (stimuli[:, :2], ["units:0"]),
        (stimuli, ["no:0"]),
        (stimuli + 2, ["u:0"]),
    ):
        with pytest.raises(BlackboxError) as caught:
            ann.observe("sim", wrong, units)
        assert not isinstance(caught.value, QuotaExceeded)
    ann.observe("sim", stimuli, [])
    with pytest.raises(InvalidInput):
        ann.probe("sim", units=["no unit"])
    assert lab.store.claims.ordered("ann") == before
    ann.observe("sim", stimuli, ["units:0"])
    assert lab.store.claims.ordered("ann") == before + 6
    # A quota that is set later knows what was used before.
    quotas = {"ann": Quota(queries=before + 7)}
    with (
        lab.serving(quotas=quotas, audit_log=None) as address,
        lab.connect("ann", address) as again,
        pytest.raises(QuotaExceeded, match="has 1 of"),
    ):
        again.observe("sim", stimuli, ["units:0"])


def test_an_artifact_that_another_wrote_stays(lab, ann, bob):
    body = secrets.token_bytes(50)
    digest = ann.write_artifact(body)
    study = begin(ann)
    lab.store.artifacts.refer(study.id, "input", digest)
    assert bob.write_artifact(body) == digest
    study.delete()
    assert bob.read_artifact(digest) == body
    with pytest.raises(BlackboxError, match="no artifact"):
        ann.read_artifact(digest)
