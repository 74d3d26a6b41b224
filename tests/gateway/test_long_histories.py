"""100,000 generations are shown, and caught up with, in a bounded time and size."""

import time
from dataclasses import replace

import httpx
import pytest

from blackbox_am.service import load_config, running
from blackbox_am.testing.gateway import GatewayProcess
from tests.gateway import long_journal
from tests.gateway.conftest import TOML
from tests.gateway.reading import Reader

GENERATIONS = 100_000
SECONDS = 20.0
"""Far more than it takes (1 to 2 s on an idle machine), and far less than reading all events."""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    folder = tmp_path_factory.mktemp("long")
    (folder / "models.toml").write_text(TOML)
    config = replace(
        load_config(folder / "models.toml"),
        address="localhost:0",
        store=str(folder / "studies.sqlite3"),
    )
    last = long_journal.make(config, GENERATIONS)
    with (
        running(config) as address,
        GatewayProcess(folder, address) as gateway,
        httpx.Client(base_url=gateway.url, timeout=60) as http,
    ):
        yield gateway, http, last


@pytest.fixture
def quick():
    started = time.monotonic()
    yield
    assert time.monotonic() - started < SECONDS


def test_curves(shown, quick):
    _, http, _ = shown
    answer = http.get("/api/studies/long/curves")
    assert len(answer.content) < 60_000
    found = answer.json()
    assert found["closed_generations"] == GENERATIONS
    assert len(found["generations"]) == 400
    assert (found["generations"][0], found["generations"][-1]) == (0, GENERATIONS - 1)
    assert found["rows"][-1] == 4 * GENERATIONS
    for generation, best in zip(found["generations"][1:], found["best_so_far"][0][1:], strict=True):
        assert best == 1 + generation // 1000


def test_catching_up(shown, quick):
    gateway, _, last = shown
    with Reader(gateway.url, "long", "long=3") as reader:
        reader.until(lambda r: r.of("study"), SECONDS)
    told = reader.of("generation")
    assert len(told) <= 400
    assert told[-1]["generation"] == GENERATIONS - 1
    assert reader.of("state")[-1]["message"] == "made"  # no other event is left out
    assert reader.last_id == f"long={last}"
    known = f"long={last - 41}"  # a short gap is told whole
    with Reader(gateway.url, "long", known) as reader:
        reader.until(lambda r: r.of("study"), SECONDS)
    numbers = [one["generation"] for one in reader.of("generation")]
    assert numbers == list(range(GENERATIONS - 20, GENERATIONS))


def test_a_new_reader(shown, quick):
    gateway, _, _ = shown
    with Reader(gateway.url, "long,*list") as reader:
        reader.until(lambda r: r.of("study") and r.of("listing"), SECONDS)
    assert not reader.of("generation")


@pytest.mark.parametrize("generation", [999, 1000, 50_500, 99_999])
def test_the_best_of_the_past(shown, quick, generation):
    _, http, _ = shown
    found = http.get(
        "/api/studies/long/targets/1/best.json", params={"generation": generation}
    ).json()
    assert found["generation"] == max(generation // 1000 * 1000, 1)
    assert found["score"] == 1 + generation // 1000


def test_the_log(shown, quick):
    _, http, last = shown
    found = http.get("/api/studies/long/events-log", params={"limit": 5}).json()
    assert found[-1]["sequence"] == last
    assert len(found) == 5
