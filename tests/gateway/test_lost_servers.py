"""Servers that are not there, go away, and come back."""

import socket
from contextlib import closing

import httpx
import pytest

from blackbox_am.client import BudgetChanged, Created, GenerationClosed, StateChanged, connect
from blackbox_am.testing.gateway import GatewayProcess
from blackbox_am.testing.server import ServerProcess
from tests.gateway.conftest import TOML
from tests.gateway.reading import Reader

pytestmark = pytest.mark.slow  # each test starts processes


def free_port():
    with closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def test_no_server(tmp_path):
    with GatewayProcess(tmp_path, f"127.0.0.1:{free_port()}") as gateway:
        with httpx.Client(base_url=gateway.url, timeout=30) as http:
            found = http.get("/api/server").json()
            assert not found["connected"]
            assert "check that the server runs" in found["message"]
            answer = http.get("/api/studies")
            assert (answer.status_code, answer.json()["error"]["reason"]) == (
                503,
                "SERVER_UNAVAILABLE",
            )
            assert http.post("/api/studies/a:pause").status_code == 403  # no --allow-changes
        with Reader(gateway.url, "a,*list") as reader:
            reader.until(lambda r: r.of("server"))
            assert not reader.of("server")[0]["connected"]
        assert gateway.stop() == 0  # and was not killed, as it is where it does not stop in time


def test_a_port_of_something_else(tmp_path, gateway):
    """The port of an HTTP server is no server of studies."""
    with GatewayProcess(tmp_path, gateway.url.removeprefix("http://")) as other:
        found = httpx.get(f"{other.url}/api/server", timeout=30).json()
        assert not found["connected"]
        assert found["message"]


def test_the_port_of_the_page_is_taken(tmp_path, gateway, address):
    port = gateway.url.rpartition(":")[2]
    with pytest.raises(Exception, match="choose another port"):
        GatewayProcess(tmp_path, address, "--port", port).__enter__()


def test_a_stream_over_a_killed_server(tmp_path):
    """kill -9 of the server in the middle of a search, and a reload of the page while it is away:
    the page is told so, and misses nothing.
    """
    config = tmp_path / "models.toml"
    config.write_text(TOML)
    address = f"127.0.0.1:{free_port()}"
    with GatewayProcess(tmp_path, address) as gateway, Reader(gateway.url, "search") as reader:
        reader.until(lambda r: r.of("server") and not r.of("server")[-1]["connected"])
        with ServerProcess(tmp_path, config, address=address) as server:
            with connect(server.address) as client:
                study = client.create(
                    targets=["units:0"],
                    oracle="slow",
                    generator="pixels",
                    queries_per_target=1500,
                    optimizer="random",
                    parameters={"population": 10},
                    study_id="search",
                )
            reader.until(lambda r: len(r.of("generation")) > 5)
            server.kill()
            reader.until(lambda r: not r.of("server")[-1]["connected"])
            before = reader.last_id
            with Reader(gateway.url, "search", before) as reloaded:
                reloaded.until(lambda r: r.of("server"))
                assert not reloaded.of("server")[0]["connected"]
                with ServerProcess(tmp_path, config, address=address) as again:
                    for one in (reader, reloaded):
                        one.until(lambda r: r.of("server")[-1]["connected"])
                    with connect(again.address) as client:
                        study = client.study("search")
                        study.wait()
                        for one in (reader, reloaded):
                            one.until(
                                lambda r: any(s["state"] == "succeeded" for s in r.of("state"))
                            )
                        _check(study, reader, after=0)
                        _check(study, reloaded, after=int(before.partition("=")[2]))


def _check(study, reader, after):
    """Notes and states are complete; generations are in order, each once, with the last one."""
    kinds = (GenerationClosed, StateChanged, Created, BudgetChanged)
    events = [event for event in study.watch() if event.sequence > after]
    told = [
        event for event in reader.events if event.data.get("sequence") and event.kind != "study"
    ]
    sequences = [event.data["sequence"] for event in told]
    assert sequences == sorted(set(sequences))
    first = min(sequences)
    rare = {e.sequence for e in events if not isinstance(e, kinds[0]) and e.sequence >= first}
    rare -= {e.sequence for e in events if type(e).__name__ in ("RowsTold", "GenerationOpened")}
    assert rare <= set(sequences)
    assert any("resumed the study" in note["text"] for note in reader.of("note"))
    assert reader.of("generation")[-1]["rows"] == 1500
