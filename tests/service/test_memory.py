"""Calls take little memory, and those that find no room are refused and may come again."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest

from blackbox_am import plugins
from blackbox_am.catalogue import Catalogue
from blackbox_am.client import connect
from blackbox_am.core.rng import Stream
from blackbox_am.core.space import build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.core.types import StudyState
from blackbox_am.errors import InvalidInput, QuotaExceeded
from blackbox_am.evaluation.rendering import BLOCK_BYTES, samples
from blackbox_am.service import backend, running
from blackbox_am.service.memory import MemoryBudget
from tests.service.conftest import TABLES
from tests.service.test_hanging import Hung


@pytest.mark.parametrize("count", [1, 17, 1000, 4099])
def test_latents_are_drawn_in_blocks_and_are_those_of_one_draw(count):
    space = build_space(SpaceSpec(kind="normal", dimension=901))
    blocks = list(samples(space, count, 7))
    assert all(block.nbytes <= BLOCK_BYTES for block in blocks)
    whole = space.sample(Stream(7, "sample", 0), count)[0].numpy()
    assert np.array_equal(np.concatenate(blocks), whole)


def test_a_budget_refuses_what_does_not_fit_and_forgets_what_has_ended():
    budget = MemoryBudget(100, lambda: 30)
    with budget.holding(50, "a call"):
        with pytest.raises(QuotaExceeded, match="needs 21 bytes, and 80 of the 100") as caught:
            budget.holding(21, "another").__enter__()
        assert caught.value.retry_after > 0
        with budget.holding(20, "a third"):
            assert budget.held == 70
    assert budget.held == 0
    with pytest.raises(InvalidInput, match="more than the 100 bytes"):
        budget.holding(101, "a call").__enter__()


def test_calls_of_a_server_share_its_memory(config):
    stimuli = np.zeros((600, 3, 8, 8), np.uint8)
    with running(replace(config, memory_bytes=2**20)) as address, connect(address) as client:
        assert client.observe("sim", stimuli[:50], ["units:0"]).shape == (50, 1)
        with pytest.raises(InvalidInput, match="an observation of 600 stimuli and 1 units needs"):
            client.observe("sim", stimuli, ["units:0"])
        with pytest.raises(InvalidInput, match="a block of samples"):
            client.sample("pixels", 50000)


def test_a_study_that_needs_too_much_memory_is_refused(config):
    wanted = {"targets": ["n:0", "n:1"], "optimizer": "cma"}
    with running(replace(config, memory_bytes=2**26)) as address, connect(address) as client:
        with pytest.raises(InvalidInput, match="cma for 2 targets in 3000 dimensions needs") as no:
            client.create(space=SpaceSpec("normal", 3000), **wanted)
        assert no.value.field == "spec.optimizer.name"
        assert client.studies() == []
        client.create(space=SpaceSpec("normal", 300), **wanted)


def needs(dim, targets):
    """Bytes of a search by `cma`."""
    return plugins.optimizers.build("cma", {}).memory_bytes(
        build_space(SpaceSpec("normal", dim)), targets
    )


def test_studies_that_nobody_uses_make_room(config):
    names, space = ("a", "b", "c"), SpaceSpec("normal", 300)
    limit = int(2.5 * needs(300, 2))
    with running(replace(config, memory_bytes=limit)) as address, connect(address) as client:
        for name in names:
            client.create(space=space, targets=["n:0", "n:1"], optimizer="cma", study_id=name)
        first = {name: client.study(name).ask(1).ids for name in names}
        assert all(len(ids) == 1 for ids in first.values())
        for name in names:  # each is recovered again, and knows what it gave out
            assert client.study(name).ask(1).ids != first[name]


def test_recovered_studies_wait_for_memory(config, tmp_path, caplog):
    targets = [f"units:{unit}" for unit in range(10)] * 2
    wanted = {"generator": "pixels", "targets": targets, "optimizer": "cma"}
    names = ("a", "b", "c")
    oracle = {"kind": "simulated", "latency_seconds": 0.02}
    tables = {"oracles": dict.fromkeys(names, oracle), "generators": TABLES["generators"]}
    kept = replace(
        config, store=str(tmp_path / "s.sqlite3"), catalogue=Catalogue.from_plain(tables)
    )
    with running(kept) as address, connect(address) as client:
        for name in names:
            client.create(oracle=name, queries_per_target=200, study_id=name, **wanted)
    less = replace(kept, memory_bytes=int(1.5 * needs(192, 20)))
    with running(less) as address, connect(address) as client:
        for name in names:
            assert client.study(name).wait(timeout=100).state is StudyState.SUCCEEDED
    assert "waits: study" in caplog.text


def resumed(study):
    """Resumes a study as soon as there is room for it."""
    deadline = time.monotonic() + 100
    while time.monotonic() < deadline:
        with suppress(QuotaExceeded):
            return study.resume()
        time.sleep(0.05)
    raise TimeoutError


def test_a_study_of_a_larger_server_runs_alone(config, tmp_path):
    wanted = {"generator": "pixels", "targets": ["units:0"] * 5, "optimizer": "cma"}
    kept = replace(config, store=str(tmp_path / "s.sqlite3"))
    with running(kept) as address, connect(address) as client:
        client.create(oracle="slow", queries_per_target=100, study_id="s", **wanted).pause()
    less = replace(kept, memory_bytes=needs(192, 5) // 2)
    with running(less) as address, connect(address) as client:
        resumed(client.study("s"))
        assert client.study("s").wait(timeout=100).state is StudyState.SUCCEEDED


def test_too_many_waiting_calls_are_refused(config, monkeypatch):
    monkeypatch.setitem(backend.WAITING, backend.Pool.MODELS, 2)
    oracle = Hung(threading.Event())
    config.catalogue.add_oracle("hung", oracle)
    stimuli = np.zeros((1, 3, 8, 8), np.uint8)
    most = backend.THREADS[backend.Pool.MODELS] + 2
    with running(config) as address, connect(address) as client, ThreadPoolExecutor(20) as pool:
        calls = [pool.submit(client.observe, "hung", stimuli, ["units:0"]) for _ in range(20)]
        deadline = time.monotonic() + 30
        while sum(call.done() for call in calls) < 20 - most and time.monotonic() < deadline:
            time.sleep(0.02)
        refused = sum(isinstance(call.exception(), QuotaExceeded) for call in calls if call.done())
        oracle.release.set()
        answered = sum(call.exception() is None for call in calls)
        assert (answered, refused) == (most, 20 - most)
