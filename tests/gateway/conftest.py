"""A real server, and a real gateway in a process of its own, shared by all tests."""

from dataclasses import replace

import httpx
import numpy as np
import pytest

from blackbox_am.catalogue import ImagesGiven
from blackbox_am.client import connect
from blackbox_am.service import load_config, running
from blackbox_am.testing.gateway import GatewayProcess

TOML = """
[server]
shipped = false
device = "cpu"

[oracles.sim]
kind = "simulated"

[oracles.slow]
kind = "simulated"
latency_seconds = 0.02

[generators.rows]
kind = "table"
columns = [
  { name = "age", low = 18, high = 90, integer = true },
  { name = "income", low = 0.0, high = 1e5 },
  { name = "city", categories = ["Rome", "Paris", "Kyiv"], encoding = "one_hot" },
]

[generators.pixels]
kind = "pixels"
shape = [3, 8, 8]

[generators.perturbation]
kind = "perturbation"
inputs = "zoo:probe_images"
"""
PICTURES = np.random.default_rng(0).integers(0, 256, (12, 3, 8, 8), dtype=np.uint8)
TOKEN = "a-token-for-tests-of-changes"
WRITES = {"authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    found = tmp_path_factory.mktemp("gateway")
    (found / "models.toml").write_text(TOML)
    (found / "token").write_text(TOKEN)
    return found


@pytest.fixture(scope="session")
def address(folder):
    config = replace(load_config(folder / "models.toml"), address="localhost:0", store=":memory:")
    config.catalogue.add_images("shipped", ImagesGiven(PICTURES))
    with running(config) as found:
        yield found


@pytest.fixture(scope="session")
def gateway(folder, address):
    options = ["--allow-changes", "--changes-token-file", str(folder / "token")]
    with GatewayProcess(folder, address, *options) as found:
        yield found


@pytest.fixture
def http(gateway):
    with httpx.Client(base_url=gateway.url, timeout=30) as found:
        yield found


@pytest.fixture
def client(address):
    with connect(address) as found:
        yield found


@pytest.fixture(scope="session")
def study(address):
    """An ended study of two targets."""
    with connect(address) as client:
        found = client.create(
            targets=["units:0", "units:1"],
            oracle="sim",
            generator="pixels",
            optimizer="random",
            parameters={"population": 10},
            queries_per_target=300,
            study_id="ended",
            labels={"kind": "test"},
            seed=1,
        )
        found.wait()
        yield found
