"""Groups on which two servers of one store act at the same time."""

import pytest

from blackbox_am.catalogue import Catalogue
from blackbox_am.client import connect
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.core.types import StudyState
from blackbox_am.errors import NotFound
from blackbox_am.groups import group as groups
from blackbox_am.groups.group import Asked
from blackbox_am.service import Config, creating, running
from blackbox_am.stores import SQLStore

MEMBERS = {
    name: {"targets": ["u:0"], "space": SpaceSpec("normal", 3), "queries_per_target": 20}
    for name in ("a", "b")
}


@pytest.fixture
def place(tmp_path):
    return str(tmp_path / "s.sqlite3")


@pytest.fixture
def client(place):
    config = Config(
        address="localhost:0", store=place, device="cpu", catalogue=Catalogue.from_plain({})
    )
    with running(config) as address, connect(address) as found:
        yield found


def meanwhile(monkeypatch, place, act):
    """Calls `act` with the journals of groups when the first member of a group is created."""
    create, store, acted = creating.create, SQLStore(place), []

    def created(backend, request):
        found = create(backend, request)
        if not request.validate_only and not acted:
            acted.append(act(store.groups))
        return found

    monkeypatch.setattr(creating, "create", created)
    return store


def asks(action):
    return lambda journals: journals.append("g", 2, groups.encode(Asked(action)))


def test_a_creation_is_complete_although_another_server_was_asked_for_more(
    client, place, monkeypatch
):
    store = meanwhile(monkeypatch, place, asks("extend"))
    group = client.create_group(MEMBERS, group_id="g")
    assert group.progress().unfinished == "extend"
    assert groups.fold(store.groups.read("g")).pending == (Asked("extend"),)
    group.members()["a"].delete()
    group.pause()
    assert group.progress().unfinished == ""
    assert [member.state for member in group.progress().members] == [None, StudyState.PAUSED]
    with pytest.raises(NotFound):
        client.study("g-a").progress()
    store.close()


@pytest.mark.parametrize(
    ("action", "state"), [("pause", StudyState.PAUSED), ("cancel", StudyState.CANCELLED)]
)
def test_late_members_are_steered_as_another_server_was_asked(
    client, place, monkeypatch, action, state
):
    store = meanwhile(monkeypatch, place, asks(action))
    group = client.create_group(MEMBERS, group_id="g")
    assert [member.state for member in group.progress().members] == [state, state]
    store.close()


def test_late_members_of_a_deleted_group_are_deleted(client, place, monkeypatch):
    store = meanwhile(monkeypatch, place, lambda journals: journals.delete("g"))
    with pytest.raises(NotFound):
        client.create_group(MEMBERS, group_id="g")
    assert client.studies() == []
    store.close()
