"""Owners and tokens outlive a server: unfinished groups, and a server that is killed."""

import sqlite3
import threading
import time

import pytest

from blackbox_am.catalogue import Catalogue
from blackbox_am.core.spec import Budget, GeneratorSpec, ObjectiveSpec, OptimizerSpec, StudySpec
from blackbox_am.core.types import StudyState
from blackbox_am.errors import StoreCorrupt
from blackbox_am.groups import group as groups
from blackbox_am.groups.spec import GroupSpec, MemberSpec
from blackbox_am.service.auth.principals import Role
from blackbox_am.service.auth.tokens import issue
from blackbox_am.testing.server import ServerProcess
from tests.service.auth.conftest import TABLES, Lab, begin

TOML = """
[server]
shipped = false
device = "cpu"
tls_certificate = "{folder}/server.pem"
tls_key = "{folder}/server.key"
audit_log = "{folder}/audit.jsonl"

[oracles.sim]
kind = "simulated"
latency_seconds = 0.02

[generators.pixels]
kind = "pixels"
shape = [3, 8, 8]
"""


@pytest.fixture
def own(tmp_path):
    lab = Lab(tmp_path)
    yield lab
    lab.store.close()


def member(name, **more):
    spec = StudySpec(
        generator=GeneratorSpec("pixels"),
        targets=(ObjectiveSpec("mean", quantities=("units:0",)),),
        optimizer=OptimizerSpec("random"),
        budget=Budget(queries_per_target=100),
        seed=1,
        **more,
    )
    return MemberSpec(name, spec)


def begun(own, *members):
    """A group of ann that a server began and did not finish."""
    created = groups.Created(GroupSpec(members=members))
    own.store.groups.append("begun", 1, groups.encode(created), principal="ann")


def states_of(group):
    return [one.state for one in group.progress().members]


def collect(study, events):
    for event in study.watch():
        events.append(event)  # each is seen as it comes


def wait_for(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_group_that_a_dead_server_began_stays_its_owners(own):
    begun(own, member("a"))
    with own.serving() as address, own.connect("ann", address) as ann:
        group = ann.group("begun")
        wait_for(lambda: not group.progress().unfinished)
        assert group.progress().members[0].state is not None
        assert ann.study("begun-a").progress().owner == "ann"


def test_a_group_that_cannot_be_finished_is_steered(own):
    begun(own, member("a"), member("b", oracle="gone"), member("c"))
    with own.serving() as address, own.connect("ann", address) as ann:
        group = ann.group("begun")
        # A member that fails does not keep the action from the others.
        wait_for(lambda: states_of(group)[2] is not None)
        group.pause()
        assert states_of(group) == [StudyState.PAUSED, None, StudyState.PAUSED]
        assert group.progress().unfinished == "create"
        group.resume()
        assert StudyState.PAUSED not in states_of(group)
        group.pause()
    tables = TABLES | {"oracles": {"gone": {"kind": "simulated"}}}
    catalogue = Catalogue.from_plain(tables)
    with own.serving(catalogue=catalogue) as address, own.connect("ann", address) as ann:
        group = ann.group("begun")
        wait_for(lambda: not group.progress().unfinished)
        assert states_of(group) == [StudyState.PAUSED] * 3, "a late member is paused too"


@pytest.mark.parametrize("verb", ["cancel", "delete"])
def test_a_group_that_cannot_be_finished_ends(own, verb):
    begun(own, member("a"), member("b", oracle="gone"))
    with own.serving() as address, own.connect("ann", address) as ann:
        group = ann.group("begun")
        wait_for(lambda: states_of(group)[0] is not None)
        getattr(group, verb)()
        if verb == "cancel":
            assert not group.progress().unfinished
            assert states_of(group) == [StudyState.CANCELLED, None]
            group.delete()
        assert ann.groups() == []
        assert list(ann.studies()) == []


def test_a_group_with_a_damaged_member_is_deleted(own):
    begun(own, member("a"), member("b"))
    with own.serving() as address, own.connect("ann", address) as ann:
        wait_for(lambda: not ann.group("begun").progress().unfinished)
    with sqlite3.connect(own.config.store) as file:
        file.execute("update studies set body = x'00' where study = 'begun-a'")
    with own.serving() as address, own.connect("ann", address) as ann:
        group = ann.group("begun")
        assert states_of(group)[0] is StudyState.FAILED
        with pytest.raises(StoreCorrupt):
            group.cancel()
        assert states_of(group)[1] is StudyState.CANCELLED
        group.delete()
        assert ann.groups() == []


@pytest.mark.slow
def test_a_killed_server_comes_back_with_its_tokens_and_owners(own):
    config = own.folder / "server.toml"
    config.write_text(TOML.format(folder=own.folder))
    store, token = own.config.store, issue(own.store.tokens, "ann", Role.RUNNER)[1]
    with ServerProcess(own.folder, config, store=store, address="localhost:0") as server:
        address = server.address
        with own.connect(token, address) as ann:
            study = begin(ann, oracle="sim", targets=["units:0"], queries_per_target=3000)
            events = []
            watching = threading.Thread(target=lambda: collect(study, events))
            watching.start()
            wait_for(lambda: len(events) > 20)
            server.kill()
            with (
                ServerProcess(own.folder, config, store=store, address=address),
                own.connect(token, address) as again,
            ):
                assert again.study(study.id).wait(timeout=90).owner == "ann"
                watching.join(30)
                assert not watching.is_alive()
                sequences = [event.sequence for event in events]
                assert sequences == list(range(1, len(sequences) + 1))
                with own.connect("bob", address) as bob:
                    assert bob.studies() == []
    lines = (own.folder / "audit.jsonl").read_text().splitlines()
    assert len(lines) == 1
