"""A server that is started again with another model pauses the studies that measured the first."""

from pathlib import Path

import pytest
import torch
from torch import nn

from blackbox_am.client import connect
from blackbox_am.core.types import StudyState
from blackbox_am.errors import ModelChanged, StudyExists
from blackbox_am.service import running
from blackbox_am.service.config import load_config

SHAPE = (3, 8, 8)


def save(path: Path, seed: int) -> None:
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Flatten(), nn.Linear(192, 16), nn.ReLU(), nn.Linear(16, 4)).eval()
    torch.jit.trace(net, torch.rand(1, *SHAPE)).save(str(path))


def config_of(folder: Path, extra: str = ""):
    path = folder / "server.toml"
    path.write_text(
        f"""
        [server]
        address = "127.0.0.1:0"
        store = "{folder / "s.sqlite3"}"
        device = "cpu"
        shipped = false

        [oracles.net]
        kind = "torch_module"
        model = "torchscript:{folder / "net.pt"}"
        stimulus_shape = [3, 8, 8]
        device = "cpu"
        {extra}

        [generators.pixels]
        kind = "pixels"
        shape = [3, 8, 8]
        """
    )
    return load_config(path)


def begun(client, **changes):
    wanted = {"targets": ["output:1"], "generator": "pixels", "queries_per_target": 60, "seed": 1}
    return client.create(oracle="net", study_id="mine", **{**wanted, **changes})


@pytest.fixture
def folder(tmp_path):
    save(tmp_path / "net.pt", 0)
    with running(config_of(tmp_path)) as address, connect(address) as client:
        assert begun(client).wait(60).state is StudyState.SUCCEEDED
        long = begun(client, queries_per_target=10**8)  # the same study, with a larger budget
        next(iter(long.watch(after_sequence=12)))
    return tmp_path


def paused(study):
    for _ in range(600):
        found = study.progress()
        if found.state is StudyState.PAUSED:
            return found
        study.watch(after_sequence=found.sequence)
        torch.rand(10**6).sum()
    raise AssertionError(found)


@pytest.mark.parametrize("change", ["weights", "parameters"])
def test_a_study_whose_model_changed_is_paused_and_can_adopt_it(folder, change):
    if change == "weights":
        save(folder / "net.pt", 1)
    config = config_of(folder, "mean = [0.5]\nstd = [0.5]" if change == "parameters" else "")
    with running(config) as address, connect(address) as client:
        found = paused(client.study("mine"))
        assert "would mix two models" in found.message
        wanted = "content of model" if change == "weights" else "parameter mean was"
        assert wanted in found.message
        with pytest.raises(ModelChanged, match="adopt"):
            client.study("mine").resume()
        with pytest.raises(ModelChanged, match="adopt"):
            begun(client, queries_per_target=10**8)
        client.study("mine").resume(adopt=True)
        next(iter(client.study("mine").watch(after_sequence=found.sequence + 6)))
        assert client.study("mine").progress().state is StudyState.RUNNING
        client.study("mine").cancel()
        kinds = [type(event).__name__ for event in client.study("mine").watch()]
        assert kinds.count("Adopted") == 1


def test_the_same_model_goes_on(folder):
    with running(config_of(folder)) as address, connect(address) as client:
        before = client.study("mine").progress()
        next(iter(client.study("mine").watch(after_sequence=before.sequence + 5)))
        assert client.study("mine").progress().state is StudyState.RUNNING
        client.study("mine").cancel()


def test_another_specification_names_its_fields(folder):
    with running(config_of(folder)) as address, connect(address) as client:
        with pytest.raises(StudyExists, match="seed was 1 and is 2"):
            begun(client, seed=2)
        client.study("mine").cancel()


def test_an_oracle_says_which_model_it_is(folder):
    from blackbox_am.oracles.grpc.remote import Remote

    config = config_of(folder)
    local = config.catalogue.oracle("net").fingerprint()
    with running(config) as address:
        remote = Remote(address, oracle="net")
        assert remote.describe().fingerprint == local.digest
        assert remote.fingerprint().contents["model"] == local.digest
        assert "target" not in remote.fingerprint().parameters
        remote.close()
