"""The README's loop on a rig survives kill -9 of itself and of the server, other rigs, a pause."""

import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import blackbox_am
from blackbox_am.client.names import ClientName
from blackbox_am.core.types import StudyState
from blackbox_am.testing.server import ServerProcess
from tests import forked

ROOT = Path(__file__).parents[2]
LOOP = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)[2]
TOML = """
[server]
shipped = false
device = "cpu"

[generators.cifar_vae]
kind = "pixels"
shape = [3, 4, 4]
"""
QUERIES = 60
RIG = """
import os, sys, time
shown, dies_at, pause = 0, int(sys.argv[1]), float(sys.argv[2])

def show_and_record(image):
    global shown
    shown += 1
    if shown == dies_at:
        os.kill(os.getpid(), 9)
    time.sleep(pause)
    return float(image.mean())
"""


def rig(address, study, *, dies_at=0, pause=0.0):
    """The README's loop in a process of its own."""
    loop = LOOP.replace("my-neuron", study)
    loop = loop.replace("queries_per_target=1000", f"queries_per_target={QUERIES}")
    program = RIG + loop.replace("localhost:50051", address) + "\nprint(shown)"
    command = [sys.executable, "-c", program, str(dies_at), str(pause)]
    return forked.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def said(process, timeout=120):
    out, err = process.communicate(timeout=timeout)
    assert process.returncode == 0, err
    score, shown = out.split()
    return float(score), int(shown)


@pytest.fixture(autouse=True, scope="module")
def names(tmp_path_factory):
    """Names of clients that no other test process takes: a rig finds the one it had before."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(tmp_path_factory.mktemp("names")))
        yield


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    file = tmp_path_factory.mktemp("config") / "models.toml"
    file.write_text(TOML)
    return file


@pytest.fixture(scope="module")
def address(tmp_path_factory, config):
    with ServerProcess(tmp_path_factory.mktemp("server"), config) as server:
        yield server.address


def _begun(client, study):
    return any(s.study_id == study and s.search_rows for s in client.studies())


def test_killed_it_goes_on_at_once(address):
    first = rig(address, "killed", dies_at=30)
    first.communicate(timeout=60)
    assert first.returncode == -9
    started = time.monotonic()
    _, shown = said(rig(address, "killed"))
    assert time.monotonic() - started < 50  # a lease of the dead rig would hold for 60 s
    assert 30 <= shown < QUERIES
    with blackbox_am.connect(address) as client:
        end = client.study("killed").progress()
        assert (end.state, end.search_rows) == (StudyState.SUCCEEDED, QUERIES)


def test_two_rigs_share_the_candidates(address):
    rigs = [rig(address, "shared", pause=0.02) for _ in range(2)]
    found = [said(process) for process in rigs]
    assert sum(shown for _, shown in found) == QUERIES
    assert found[0][0] == found[1][0]


@pytest.mark.slow
def test_it_waits_while_the_study_is_paused(address):
    running = rig(address, "paused", pause=0.02)
    with blackbox_am.connect(address) as client:
        deadline = time.monotonic() + 60
        while not _begun(client, "paused") and time.monotonic() < deadline:
            time.sleep(0.02)
        study = client.study("paused")
        study.pause()
        time.sleep(1.5)
        assert running.poll() is None
        study.resume()
    assert said(running)[1] == QUERIES


@pytest.mark.slow
def test_it_waits_for_a_server_that_was_killed(tmp_path, config):
    with ServerProcess(tmp_path, config) as server:
        port = server.address
        running = rig(port, "outlived", pause=0.05)
        with blackbox_am.connect(port) as client:
            deadline = time.monotonic() + 60
            while not _begun(client, "outlived"):
                assert time.monotonic() < deadline
                time.sleep(0.02)
        server.kill()
    assert running.poll() is None
    with ServerProcess(tmp_path, config, address=port) as server:
        _, shown = said(running)
        with blackbox_am.connect(server.address) as client:
            assert client.study("outlived").progress().search_rows == QUERIES
    assert QUERIES <= shown <= 2 * QUERIES  # what was not told yet is measured again at worst


def test_a_client_with_a_name_gets_its_own_candidates_back(address):
    def create(client):
        return client.create(
            targets=["u:0"], generator="cifar_vae", study_id="named", queries_per_target=100
        )

    with blackbox_am.connect(address, client_id="rig-7") as first:
        held = create(first).ask()
        assert len(create(first).ask(timeout=0)) == 0  # the same run may ask ahead
        with blackbox_am.connect(address, client_id="rig-8") as other:
            assert len(create(other).ask(timeout=0)) == 0
        with blackbox_am.connect(address, client_id="rig-7") as again:
            assert create(again).ask(timeout=0).ids == held.ids


def test_clients_of_one_process_have_different_names():
    first, second, chosen = ClientName(), ClientName(), ClientName("mine")
    assert str(first) != str(second)
    assert str(chosen) == "mine"
    assert len({first.session, second.session, chosen.session}) == 3
    name = str(first)
    first.close()
    again = ClientName()
    assert str(again) == name
    for client_name in (second, again):
        client_name.close()


def test_asking_waits_until_another_gives_up(address):
    with blackbox_am.connect(address) as client:
        study = client.create(targets=["u:0"], generator="cifar_vae", queries_per_target=100)
        study.ask(lease=3.0)
        started = time.monotonic()
        nothing = study.ask(timeout=0.2, stimuli=True, dtype="float32")
        assert time.monotonic() - started >= 0.2
        assert (len(nothing), nothing.done) == (0, False)
        assert nothing.latents.shape == (0, 48)
        assert nothing.stimuli.shape == (0, 3, 4, 4)
        assert nothing.stimuli.dtype == "float32"
        assert len(study.ask()) > 0
        threading.Timer(0.3, study.cancel).start()
        over = study.ask(stimuli=True)
        assert (len(over), over.done, over.state) == (0, True, StudyState.CANCELLED)
        assert over.stimuli.shape == (0, 3, 4, 4)
