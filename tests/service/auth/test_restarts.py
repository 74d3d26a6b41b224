"""Owners and tokens outlive a server: unfinished groups, and a server that is killed."""

import threading
import time

import pytest

from blackbox_am.core.spec import Budget, GeneratorSpec, ObjectiveSpec, OptimizerSpec, StudySpec
from blackbox_am.groups import group as groups
from blackbox_am.groups.spec import GroupSpec, MemberSpec
from blackbox_am.service.auth.principals import Role
from blackbox_am.service.auth.tokens import issue
from blackbox_am.testing.server import ServerProcess
from tests.service.auth.conftest import Lab, begin

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


def test_a_group_that_a_dead_server_began_stays_its_owners(own):
    spec = StudySpec(
        generator=GeneratorSpec("pixels"),
        targets=(ObjectiveSpec("mean", quantities=("u:0",)),),
        optimizer=OptimizerSpec("random"),
        budget=Budget(queries_per_target=100),
        seed=1,
    )
    own.store.claims.take("groups/begun", "ann")
    created = groups.Created(GroupSpec(members=(MemberSpec("a", spec),)))
    own.store.groups.append("begun", 1, groups.encode(created))
    with own.serving() as address, own.connect("ann", address) as ann:
        group, deadline = ann.group("begun"), time.monotonic() + 10
        while group.progress().unfinished and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not group.progress().unfinished
        assert group.progress().members[0].state is not None
        assert ann.study("begun-a").progress().owner == "ann"


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
            watching = threading.Thread(target=lambda: events.extend(study.watch()))
            watching.start()
            time.sleep(1.0)
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
