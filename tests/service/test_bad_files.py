"""Spoilt files, full disks and damaged stores are told, and harm no other study."""

import os
import shutil
import sqlite3
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from blackbox_am.catalogue import SHIPPED, Catalogue, StudySettings
from blackbox_am.client import connect
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.core.types import StudyState
from blackbox_am.errors import (
    NotFound,
    StoreCorrupt,
    StoreError,
)
from blackbox_am.service import running
from blackbox_am.testing.server import ServerProcess
from blackbox_am.zoo import catalogue as zoo
from tests import forked

TOYS = """
[server]
shipped = false
device = "cpu"
retry_delays = [0.1, 0.2]

[oracles.sim]
kind = "simulated"
latency_seconds = 0.01

[generators.pixels]
kind = "pixels"
shape = [3, 8, 8]
"""


@pytest.fixture
def zoo_folder(tmp_path, monkeypatch):
    """A copy of the zoo's weights, to be spoilt."""
    shutil.copytree(zoo.ROOT / "weights", tmp_path / "weights")
    monkeypatch.setattr(zoo, "ROOT", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("noun", "harm"),
    [
        ("oracle", "missing"),
        ("generator", "truncated"),
        pytest.param("oracle", "truncated", marks=pytest.mark.slow),
        pytest.param("generator", "missing", marks=pytest.mark.slow),
    ],
)
def test_a_spoilt_zoo_file_is_told_and_harms_no_other_study(config, zoo_folder, harm, noun):
    for name, entry in SHIPPED["oracles"].items():
        config.catalogue._oracles.slots[name] = Catalogue.from_plain(
            {"oracles": {name: entry}}
        )._oracles.slots[name]
    for name, entry in SHIPPED["generators"].items():
        config.catalogue._generators.slots[name] = Catalogue.from_plain(
            {"generators": {name: entry}}
        )._generators.slots[name]
        config.catalogue._settings[name] = StudySettings(())
    relative = {"oracle": "cifar_cnn.safetensors", "generator": "cifar_vae/config.json"}[noun]
    if harm == "truncated" and noun == "generator":
        relative = "cifar_vae/diffusion_pytorch_model.safetensors"
    victim = zoo_folder / "weights" / relative
    whole = victim.read_bytes()
    if harm == "missing":
        victim.unlink()
    else:
        victim.write_bytes(whole[: len(whole) // 2])
    wanted = {
        "targets": ["fc:0"],
        "oracle": "cifar_cnn",
        "generator": "cifar_vae" if noun == "generator" else "pixels_32",
        "queries_per_target": 8,
        "study_id": "spoilt",
    }
    with running(config) as address, connect(address, timeout=100) as client:  # models are loaded
        other = client.create(
            targets=["units:0"], oracle="slow", generator="pixels", queries_per_target=300
        )
        for _ in range(2):
            with pytest.raises(NotFound if harm == "missing" else StoreCorrupt) as found:
                client.create(**wanted)
            assert victim.name in found.value.message
            assert "reinstall the package, or retrain" in found.value.message
        assert [s.study_id for s in client.studies()] == [other.id]
        assert other.wait(30).state is StudyState.SUCCEEDED
        victim.write_bytes(whole)
        units = [u for u in client.units("cifar_cnn") if u.endswith(":0")]
        cured = client.create(**{**wanted, "targets": units[-1:]})
        assert cured.wait(60).state is StudyState.SUCCEEDED


@pytest.fixture
def process(tmp_path):
    toml = tmp_path / "server.toml"
    toml.write_text(TOYS)
    return lambda: ServerProcess(tmp_path, toml)


@pytest.mark.slow
def test_no_room_on_the_disk_loses_nothing(process):
    resource = pytest.importorskip("resource")
    if not hasattr(resource, "prlimit"):
        pytest.skip("the limit of a file's size is changed from outside by Linux only")
    endless = resource.RLIM_INFINITY
    with process() as server, connect(server.address) as client:
        run = client.create(
            targets=["units:0"],
            generator="pixels",
            oracle="sim",
            queries_per_target=2000,
            study_id="run",
        )
        hand = client.create(targets=["u:0"], space=SpaceSpec("normal", 4), study_id="hand")
        candidates = hand.ask(4)
        next(iter(run.watch(after_sequence=8)))
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (0, endless))
        for call in (
            lambda: hand.tell(candidates, np.zeros(4)),
            lambda: client.create(targets=["u:0"], space=SpaceSpec("normal", 4)),
            hand.pause,
            hand.delete,
        ):
            with pytest.raises(StoreError, match=r"could not be written.*has room"):
                call()
        time.sleep(2.0)  # longer than the worker's own attempts
        before = run.progress()
        assert before.state is StudyState.RUNNING
        assert [s.study_id for s in client.studies()] == ["hand", "run"]
        assert hand.progress().search_rows == 0
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (endless, endless))
        assert hand.tell(candidates, np.zeros(4)).accepted == 4
        end = run.wait(30)
        assert (end.state, end.search_rows) == (StudyState.SUCCEEDED, 2000)
        assert end.sequence > before.sequence
        assert [e.sequence for e in run.watch()] == list(range(1, end.sequence + 1))


def test_a_folder_that_cannot_be_written(config):
    folder = Path("/proc")  # not even root may write there
    if not folder.is_dir():
        pytest.skip("there is no /proc")
    wrong = replace(config, store=str(folder / "s.sqlite3"))
    with pytest.raises(StoreError, match="check the permissions"), running(wrong):
        pass


@pytest.mark.parametrize("place", ["head", pytest.param("half", marks=pytest.mark.slow)])
@pytest.mark.slow
def test_a_store_damaged_between_runs_is_told_and_left_alone(process, tmp_path, place):
    with process() as server, connect(server.address) as client:
        search = client.create(
            targets=["units:0"], generator="pixels", oracle="sim", queries_per_target=100
        )
        search.wait(30)
    path = tmp_path / ServerProcess.STORE
    data = bytearray(path.read_bytes())
    if place == "head":
        data[:64] = os.urandom(64)
    else:
        del data[len(data) // 2 :]
    path.write_bytes(data)
    command = [sys.executable, "-m", "blackbox_am.cli", "serve", "--address", "localhost:0"]
    started = forked.run([*command, "--store", path], timeout=60, check=False)
    assert started.returncode == 5, started.stderr
    assert "damaged" in started.stderr
    assert "Traceback" not in started.stderr
    assert path.read_bytes() == data


def test_a_changed_measurement_is_noticed_and_hides_no_other_study(config, tmp_path):
    path = tmp_path / "s.sqlite3"
    stored = replace(config, store=str(path))
    with running(stored) as address, connect(address) as client:
        for study_id in ("bad", "good"):
            study = client.create(targets=["u:0"], space=SpaceSpec("normal", 2), study_id=study_id)
            study.tell(study.ask().ids[:12], np.ones(12))
    damage = sqlite3.connect(path)
    query = "select sequence, body from events where study = 'bad' order by sequence desc"
    sequence, body = next(
        (s, b) for s, b in damage.execute(query) if np.float64(1).tobytes() * 4 in b
    )
    changed = body.replace(np.float64(1).tobytes(), np.float64(9).tobytes(), 1)
    damage.execute(
        "update events set body = ? where study = 'bad' and sequence = ?", (changed, sequence)
    )
    damage.commit()
    damage.close()
    with running(stored) as address, connect(address) as client:
        with pytest.raises(StoreCorrupt, match=f"event {sequence} .*has changed.*delete the study"):
            list(client.study("bad").watch())
        with pytest.raises(StoreCorrupt, match=f"event {sequence} .*has changed"):
            client.study("bad").ask()
        assert {s.study_id for s in client.studies([StudyState.RUNNING])} == {"bad", "good"}
        assert client.study("good").ask().state is StudyState.RUNNING
