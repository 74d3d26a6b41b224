"""A proxy in the environment is not asked for what runs on this machine."""

import os
import sys
from collections.abc import Iterator

import pytest
import torch

from blackbox_am.catalogue import Catalogue
from blackbox_am.core.units import Unit
from blackbox_am.errors import OracleUnavailable
from blackbox_am.oracles.grpc.remote import Remote
from blackbox_am.oracles.http import Http
from blackbox_am.oracles.inference_protocol import InferenceProtocol
from blackbox_am.service import Config, running
from tests import forked

DEAD = "http://127.0.0.1:9"  # the port "discard", where nobody listens
VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "grpc_proxy", "HTTP_PROXY", "HTTPS_PROXY")


@pytest.fixture
def dead_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.setenv(name, DEAD)
    for name in ("no_proxy", "NO_PROXY", "no_grpc_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    tables = {
        "oracles": {"sim": {"kind": "simulated"}},
        "generators": {"pixels": {"kind": "pixels", "shape": [3, 8, 8]}},
    }
    config = Config(
        address="127.0.0.1:0",
        store=":memory:",
        device="cpu",
        catalogue=Catalogue.from_plain(tables),
    )
    with running(config) as found:
        yield found


@pytest.mark.usefixtures("dead_proxy")
def test_a_remote_oracle(address: str) -> None:
    oracle = Remote(address, "sim", timeout_seconds=30)
    assert oracle.observe(torch.rand(2, 3, 8, 8), [Unit.parse("units:0")]).shape == (2, 1)
    oracle.close()


@pytest.mark.usefixtures("dead_proxy")
def test_the_client(address: str) -> None:
    from blackbox_am.client import connect

    with connect(address) as client:
        assert "sim" in [oracle.name for oracle in client.oracles()]


def test_the_command_line(address: str) -> None:
    known = {name: text for name, text in os.environ.items() if name.lower() != "no_proxy"}
    done = forked.run(
        [sys.executable, "-m", "blackbox_am.cli", "catalog", "oracles", "--server", address],
        env=known | dict.fromkeys(VARIABLES, DEAD),
        timeout=100,
    )
    assert "sim" in done.stdout


@pytest.mark.usefixtures("dead_proxy")
def test_an_api(api: str) -> None:
    oracle = Http(f"{api}/floats", (3, 6, 6), labels=("cat", "dog", "owl", "bee"), image="floats")
    assert oracle.observe(torch.rand(2, 3, 6, 6), [Unit.parse("scores:0")]).shape == (2, 1)
    oracle.close()


@pytest.mark.usefixtures("dead_proxy")
@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_an_inference_server(protocol: str, request: pytest.FixtureRequest) -> None:
    oracle = InferenceProtocol(
        request.getfixturevalue(f"inference_over_{protocol}"), "net", protocol=protocol
    )
    layer = oracle.describe().layers[0].name
    assert oracle.observe(torch.rand(2, 3, 6, 6), [Unit.parse(f"{layer}:0")]).shape == (2, 1)
    oracle.close()


@pytest.mark.usefixtures("dead_proxy")
def test_a_proxy_is_asked_for_others() -> None:
    oracle = Http("http://model.example/", (3, 6, 6), units=1)
    with pytest.raises(OracleUnavailable, match=r"cannot reach it .*refused"):
        oracle.observe(torch.rand(1, 3, 6, 6), [Unit.parse("scores:0")])
    oracle.close()
