"""Groups over the wire: all members or none, steered together, watched without a gap."""

import threading
import time

import grpc
import pytest

from blackbox_am.client import Created, GenerationClosed, connect
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.core.types import StudyState
from blackbox_am.errors import (
    BlackboxError,
    InvalidInput,
    InvalidSpec,
    NotFound,
    StudyExists,
    UnknownUnit,
)
from blackbox_am.rpc import status
from blackbox_am.stores import SQLStore
from blackbox_am.testing.server import ServerProcess
from blackbox_am.v1 import group_service_pb2 as pb

TOML = """
[server]
shipped = false
device = "cpu"

[oracles.sim]
kind = "simulated"

[generators.pixels]
kind = "pixels"
shape = [3, 8, 8]
"""


def member(**changes):
    wanted = {"targets": ["units:0"], "generator": "pixels", "oracle": "sim"}
    return {**wanted, "queries_per_target": 40, **changes}


def by_clients(**changes):
    return {"targets": ["u:0"], "space": SpaceSpec("normal", 3), **changes}


def names(group):
    return [entry.name for entry in group.progress().members]


def test_a_comparison_runs_to_its_end(client):
    group = client.create_group(
        {"random": member(optimizer="random"), "snes": member(optimizer="snes")},
        group_id="both",
        labels={"what": "comparison"},
    )
    end = group.wait()
    assert (end.state, end.unfinished) == (StudyState.SUCCEEDED, "")
    assert end.labels == {"what": "comparison"}
    assert [(m.name, m.study_id, m.search_rows) for m in end.members] == [
        ("random", "both-random", 40),
        ("snes", "both-snes", 40),
    ]
    studies = group.members()
    assert studies["snes"].spec().optimizer.name == "snes"
    assert {m.best_score for m in end.members} == {s.best()[0].score for s in studies.values()}
    # What was not asked to differ is the same.
    assert studies["snes"].spec().seed == studies["random"].spec().seed
    assert client.group("both").id == "both"
    assert "both" in [g.group_id for g in client.groups(labels={"what": "comparison"})]
    assert client.groups(labels={"what": "else"}) == []


def test_events_of_all_members_come_in_order(client):
    group = client.create_group({"a": member(), "b": member(targets=["units:1", "units:2"])})
    seen = {"a": [], "b": []}
    for name, event in group.watch():
        seen[name].append(event)
    for events in seen.values():
        assert [event.sequence for event in events] == list(range(1, len(events) + 1))
        assert isinstance(events[0], Created)
        closed = [event for event in events if isinstance(event, GenerationClosed)]
        assert closed
        for target in range(len(closed[0].targets)):
            so_far = [event.best_so_far[target] for event in closed]
            assert so_far == sorted(so_far)
            assert so_far[-1] == max(event.best_scores[target] for event in closed)
    after = {"a": len(seen["a"]) - 1, "b": len(seen["b"])}
    assert list(group.watch(after)) == [("a", seen["a"][-1])]
    with pytest.raises(InvalidInput, match="no member 'c'"):
        list(group.watch({"c": 1}))


def test_the_same_group_is_created_once(client):
    wanted = {"a": by_clients(), "b": by_clients()}
    first = client.create_group(wanted, group_id="once")
    before = {name: study.progress().sequence for name, study in first.members().items()}
    assert client.create_group(wanted, group_id="once").id == "once"
    assert {n: s.progress().sequence for n, s in first.members().items()} == before
    with pytest.raises(StudyExists, match="another specification"):
        client.create_group({"a": by_clients(seed=3), "b": by_clients()}, group_id="once")


def test_all_members_or_none(client):
    good, bad = by_clients(), member(targets=["units:0", "units:99"])
    with pytest.raises(UnknownUnit) as found:
        client.create_group({"good": good, "bad": bad}, group_id="half")
    assert found.value.field == "spec.members[1].spec.targets[1].quantities[0]"
    with pytest.raises(NotFound, match="no group 'half'"):
        client.group("half")
    with pytest.raises(NotFound):
        client.study("half-good")
    client.create(study_id="taken-b", **by_clients(labels={"mine": "yes"}))
    with pytest.raises(StudyExists, match="'taken-b' exists"):
        client.create_group({"a": good, "b": good}, group_id="taken")
    with pytest.raises(NotFound):
        client.study("taken-a")


def test_validation_creates_nothing(client):
    assert client.create_group({"a": member()}, group_id="ghost", validate_only=True).id == ""
    with pytest.raises(NotFound):
        client.group("ghost")


@pytest.mark.parametrize(
    ("members", "group_id", "field"),
    [
        ({}, "empty", "spec.members"),
        ({"Bad Name": by_clients()}, "name", "spec.members[0]"),
        ({"a": by_clients()}, "Not An Id", "group_id"),
        ({"a": by_clients()}, "x" * 33, "group_id"),
    ],
)
def test_what_is_no_group_names_the_field(client, members, group_id, field):
    with pytest.raises(InvalidInput) as found:
        client.create_group(members, group_id=group_id)
    assert found.value.field == field


def test_members_are_steered_together(client):
    group = client.create_group({"a": by_clients(), "b": by_clients()}, group_id="steered")
    studies = group.members()
    studies["a"].ask()
    assert group.pause().state is StudyState.PAUSED
    assert group.pause().state is StudyState.PAUSED
    assert group.resume().state is StudyState.PENDING
    extended = group.extend(queries_per_target=2000, patience=7)
    assert extended.unfinished == ""
    for study in studies.values():
        assert study.spec().budget.queries_per_target == 2000
        assert study.spec().budget.patience == 7
    with pytest.raises(InvalidSpec, match="only be raised") as found:
        group.extend(queries_per_target=5)
    assert found.value.field == "budget.queries_per_target"
    studies["a"].cancel()
    assert group.extend(queries_per_target=3000).state is StudyState.RUNNING
    assert studies["a"].spec().budget.queries_per_target == 2000
    assert group.cancel().state is StudyState.CANCELLED
    studies["b"].delete()
    assert [m.state for m in group.progress().members] == [StudyState.CANCELLED, None]
    assert list(group.watch())[-1][0] == "a"
    group.delete()
    for call in (group.progress, group.delete, group.pause, studies["a"].progress):
        with pytest.raises(NotFound):
            call()


def test_pages_and_unknown_groups(client, raw):
    for index in range(3):
        client.create_group({"a": by_clients()}, group_id=f"page-{index}", labels={"page": "yes"})
    first = raw.groups.ListGroups(pb.ListGroupsRequest(page_size=2, labels={"page": "yes"}))
    assert [g.name for g in first.groups] == ["groups/page-0", "groups/page-1"]
    token = first.next_page_token
    rest = raw.groups.ListGroups(pb.ListGroupsRequest(page_token=token, labels={"page": "yes"}))
    assert [g.name for g in rest.groups] == ["groups/page-2"]
    for name in ("studies/page-0", "groups/NO", ""):
        with pytest.raises(grpc.RpcError) as found:
            raw.groups.GetGroup(pb.GetGroupRequest(name=name))
        assert status.from_rpc_error(found.value).field == "name"


@pytest.mark.slow
def test_killed_while_it_creates_the_group_is_complete_afterwards(tmp_path):
    toml = tmp_path / "models.toml"
    toml.write_text(TOML)
    wanted = {f"m{index}": by_clients(seed=index) for index in range(60)}

    def create(address):
        try:
            with connect(address, timeout=60) as client:
                client.create_group(wanted, group_id="killed")
        except BlackboxError:
            pass  # the server died under the call

    with ServerProcess(tmp_path, toml) as server:
        store = SQLStore(str(tmp_path / ServerProcess.STORE))
        creator = threading.Thread(target=create, args=(server.address,))
        creator.start()
        deadline = time.monotonic() + 60
        while len(store.studies()) < 3 and time.monotonic() < deadline:
            time.sleep(0.005)
        server.kill()
        creator.join()
        born = len(store.studies())
        store.close()
    assert 3 <= born < 60, "the kill came too late to say anything"
    with ServerProcess(tmp_path, toml) as server, connect(server.address) as client:
        group = client.group("killed")
        deadline = time.monotonic() + 60
        while group.progress().unfinished and time.monotonic() < deadline:
            time.sleep(0.05)
        found = group.progress()
        assert (found.unfinished, found.state) == ("", StudyState.PENDING)
        assert [m.name for m in found.members] == list(wanted)
        for name, study in group.members().items():
            assert study.spec().seed == int(name[1:])
            assert study.progress().sequence == 1
        assert client.create_group(wanted, group_id="killed").id == "killed"
