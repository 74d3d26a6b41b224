"""A group's state follows from its journal and from its members', and from nothing else."""

import itertools

import pytest

from blackbox_am.core.groups import GroupRecord
from blackbox_am.core.spec import (
    Budget,
    GeneratorSpec,
    ObjectiveSpec,
    StudySpec,
    from_plain,
    to_plain,
)
from blackbox_am.core.types import StudyState
from blackbox_am.errors import InvalidSpec, StoreCorrupt
from blackbox_am.groups.group import Asked, Created, Done, encode, fold, state_of, wants
from blackbox_am.groups.spec import GroupSpec, MemberSpec, member_id

STUDY = StudySpec(
    (ObjectiveSpec("mean", quantities=("u:0",)),), Budget(10), generator=GeneratorSpec("g")
)
SPEC = GroupSpec((MemberSpec("a", STUDY), MemberSpec("b", STUDY)), {"who": "me"})
S = StudyState


def told(*events):
    return fold(GroupRecord(i, 7.0 + i, encode(event)) for i, event in enumerate(events, 1))


def test_what_is_asked_for_is_unfinished_until_it_is_done():
    assert told(Created(SPEC)).unfinished == Asked("create")
    assert told(Created(SPEC), Done()).unfinished is None
    extend = Asked("extend", {"queries_per_target": 20})
    group = told(Created(SPEC), Done(), extend)
    assert (group.spec, group.created_at, group.sequence) == (SPEC, 8.0, 3)
    assert group.unfinished == extend
    assert told(Created(SPEC), Done(), extend, Done()).unfinished is None


def test_a_later_request_replaces_an_unfinished_one():
    pause, resume, extend = Asked("pause"), Asked("resume"), Asked("extend", {"seconds": 9})
    assert told(Created(SPEC), Done(), extend, pause).pending == (pause,)
    # Only the creation stays, so that missing members can still be created.
    late = told(Created(SPEC), pause)
    assert (late.pending, late.steered) == ((Asked("create"), pause), "pause")
    assert late.unfinished == Asked("create")
    assert told(Created(SPEC), pause, Done("pause")).pending == (Asked("create"),)
    late = told(Created(SPEC), pause, Done("pause"), resume, Done("create"))
    assert (late.pending, late.steered) == ((resume,), "resume")
    for last in (Asked("cancel"), Asked("delete")):
        assert told(Created(SPEC), pause, last).pending == (last,)
    assert told(Created(SPEC), pause, Done()).pending == ()


def test_a_completion_is_that_of_one_request():
    pause, resume = Asked("pause"), Asked("resume")
    again = told(Created(SPEC), Done("create", 1), pause, resume, pause, Done("pause", 3))
    assert (again.pending, again.places) == ((pause,), (5,))


@pytest.mark.parametrize("body", [b"", b"\xff", encode(Done())])
def test_a_journal_without_sense_is_damaged(body):
    with pytest.raises(StoreCorrupt):
        fold([GroupRecord(1, 0.0, body)])


@pytest.mark.parametrize(
    ("members", "state"),
    [
        ([S.PENDING, S.PENDING], S.PENDING),
        ([S.PENDING, S.SUCCEEDED], S.RUNNING),
        ([S.RUNNING, S.PAUSED], S.RUNNING),
        ([S.PAUSED, S.SUCCEEDED], S.PAUSED),
        ([S.PENDING, S.PAUSED], S.RUNNING),
        ([S.SUCCEEDED, S.SUCCEEDED], S.SUCCEEDED),
        ([S.SUCCEEDED, S.CANCELLED], S.CANCELLED),
        ([S.FAILED, S.CANCELLED], S.FAILED),
    ],
)
def test_the_state_follows_from_the_members(members, state):
    for order in itertools.permutations(members):
        assert state_of(order) is state


def test_a_group_has_ended_when_all_members_have():
    for members in itertools.product(S, repeat=3):
        assert state_of(members).active == any(member.active for member in members)


def test_each_action_is_for_those_that_it_can_change():
    assert [s for s in S if wants("pause", s)] == [S.PENDING, S.RUNNING]
    assert [s for s in S if wants("resume", s)] == [S.PAUSED, S.FAILED]
    assert [s for s in S if wants("cancel", s)] == [S.PENDING, S.RUNNING, S.PAUSED]
    assert [s for s in S if not wants("extend", s)] == [S.FAILED, S.CANCELLED]
    assert all(wants("delete", s) for s in S)


@pytest.mark.parametrize(
    ("names", "says"),
    [
        ([], "1 to 1000"),
        (["a", "a"], "'a' is given to more than one"),
        (["No"], "small letters"),
        ([""], "small letters"),
        (["x" * 31], "small letters"),
    ],
)
def test_members_need_names_of_their_own(names, says):
    plain = {"members": [{"name": name, "spec": to_plain(STUDY)} for name in names]}
    with pytest.raises(InvalidSpec, match=says):
        from_plain(GroupSpec, plain)


def test_the_longest_names_give_an_id_of_a_study():
    assert len(member_id("g" * 32, "m" * 30)) == 63
