"""The client's own doings: it starts fast, waits, follows, and outlives lost connections."""

import subprocess
import sys
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

import blackbox_am.client as bam
from blackbox_am.catalogue import Catalogue
from blackbox_am.client import measuring
from blackbox_am.core.spec import ObjectiveSpec, SpaceSpec
from blackbox_am.core.types import StudyState
from blackbox_am.errors import (
    InvalidInput,
    InvalidSpec,
    NotFound,
    ServerUnavailable,
    ShapeMismatch,
    UnknownUnit,
)
from blackbox_am.service import Config, running

TABLES = {
    "oracles": {
        "sim": {"kind": "simulated"},
        "slow": {"kind": "simulated", "latency_seconds": 0.02},
        "sleepy": {"kind": "simulated", "latency_seconds": 1.0},
    },
    "generators": {"pixels": {"kind": "pixels", "shape": [3, 8, 8]}},
}

LIGHT = {
    "blackbox_am",
    "cython_runtime",
    "google",
    "google_crc32c",
    "grpc",
    "grpc_health",
    "grpc_reflection",
    "msgspec",
    "numpy",
    "rich",
    "typing_extensions",
}
"""What a client may import besides the standard library."""


@pytest.fixture
def config(tmp_path):
    return Config(
        address="localhost:0",
        store=str(tmp_path / "s.sqlite3"),
        device="cpu",
        catalogue=Catalogue.from_plain(TABLES),
    )


@pytest.fixture
def client(config):
    with running(config) as address, bam.connect(address) as found:
        yield found


def search(client, oracle="slow", **changes):
    wanted = {"targets": ["units:0"], "generator": "pixels", "queries_per_target": 300}
    return client.create(oracle=oracle, **{**wanted, **changes})


def bare(client, **changes):
    wanted = {"targets": ["u:0"], "space": SpaceSpec("normal", 3), "queries_per_target": 20}
    return client.create(**{**wanted, **changes})


def test_it_imports_little():
    """So that a client starts in less than a second: no torch, no SQL, no plots."""
    program = "import sys, blackbox_am.client; print(*sys.modules)"
    command = [sys.executable, "-c", program]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    modules = run.stdout.split()
    assert len(modules) < 700  # 526 when this was written
    tops = {name.partition(".")[0] for name in modules} - sys.stdlib_module_names
    assert {top for top in tops if not top.startswith("_")} <= LIGHT


def test_every_public_name_is_there():
    assert sorted(bam.__all__) == bam.__all__
    for name in bam.__all__:
        assert getattr(bam, name) is not None


def test_waiting(client):
    study = search(client, queries_per_target=10**6)
    started = time.monotonic()
    assert study.wait(0.3).state in (StudyState.PENDING, StudyState.RUNNING)
    assert time.monotonic() - started > 0.25
    threading.Timer(0.2, study.pause).start()
    assert study.wait().state is StudyState.PAUSED
    study.resume()
    threading.Timer(0.2, study.cancel).start()
    assert study.wait(30).state is StudyState.CANCELLED
    assert study.wait().state is StudyState.CANCELLED


def test_following(client):
    seen = list(search(client).follow(min_interval=0.05))
    assert seen[-1].state is StudyState.SUCCEEDED
    assert seen[-1].search_rows == 300
    assert len(seen) > 3
    sequences = [p.sequence for p in seen]
    assert sequences == sorted(set(sequences))
    assert [p.search_rows for p in seen] == sorted(p.search_rows for p in seen)


def test_following_a_study_that_has_ended(client):
    study = search(client, "sim", queries_per_target=20)
    end = study.wait(30)
    assert list(study.follow()) == [end]


def test_a_watch_outlives_the_server(config):
    with running(config) as address:
        client = bam.connect(address)
        study = search(client, queries_per_target=1500, study_id="mine")
        events, done = [], threading.Event()

        def watch():
            events.extend(study.watch(reconnect_seconds=30))
            done.set()

        thread = threading.Thread(target=watch)
        thread.start()
        next(iter(study.watch(after_sequence=8)))
    assert not done.is_set()
    with running(replace(config, address=address)):
        thread.join(60)
        assert done.is_set()
        end = study.progress()
    client.close()
    assert end.state is StudyState.SUCCEEDED
    assert [e.sequence for e in events] == list(range(1, end.sequence + 1))
    assert any(isinstance(e, bam.Resumed) for e in events)


@pytest.mark.parametrize("way", ["wait", "follow"])
def test_reads_of_a_wait_outlive_the_server(config, way):
    with running(config) as address:
        client = bam.connect(address)
        study = bare(client, study_id="mine")
        study.cancel()
    found = []

    def read():
        found.extend([study.wait(30)] if way == "wait" else study.follow())

    thread = threading.Thread(target=read)
    thread.start()
    time.sleep(0.3)
    assert thread.is_alive()
    with running(replace(config, address=address)):
        thread.join(30)
    client.close()
    assert [progress.state for progress in found] == [StudyState.CANCELLED]


def test_a_wait_for_an_absent_server_ends_with_its_timeout(config):
    with running(config) as address:
        client = bam.connect(address)
        study = bare(client)
    with pytest.raises(ServerUnavailable):
        study.wait(0.5)
    client.close()


def test_waiting_outlives_the_server_but_not_for_ever(config):
    with running(config) as address:
        client = bam.connect(address)
        study = search(client, queries_per_target=10**6)
    with pytest.raises(ServerUnavailable, match="cannot reach"):
        list(study.watch(reconnect_seconds=0.3))
    client.close()


def test_a_watch_that_is_left_lets_go(client):
    study = search(client, queries_per_target=10**6)
    for event in study.watch():
        if event.sequence == 3:
            break
    study.cancel()
    assert study.progress().state is StudyState.CANCELLED


def test_handles(client):
    study = bare(client, study_id="mine")
    assert client.study("mine").id == "mine"
    assert "mine" in repr(study)
    with pytest.raises(NotFound):
        client.study("other")
    with pytest.raises(InvalidInput):
        client.study("NOT AN ID")


def test_the_spec_comes_back(client):
    targets = ["u:3!max", ObjectiveSpec("weighted", quantities=("u:1", "u:2"), weights=(1.0, -1.0))]
    study = bare(
        client,
        targets=targets,
        optimizer="sep_cma",
        parameters={"population": 12},
        seed=5,
        patience=7,
        target_score=2.5,
        seconds=60.0,
        labels={"who": "me"},
        keep_latents="all",
    )
    spec = study.spec()
    assert spec.targets[0] == ObjectiveSpec("mean", quantities=("u:3!max",))
    assert spec.targets[1] == targets[1]
    assert spec.optimizer.parameters == {"population": 12}
    assert spec.space == SpaceSpec("normal", 3)
    assert (spec.seed, spec.labels, spec.keep_latents) == (5, {"who": "me"}, "all")
    budget = spec.budget
    assert (budget.seconds, budget.target_score, budget.patience) == (60.0, 2.5, 7)
    study.extend(queries_per_target=50, patience=9)
    budget = study.spec().budget
    assert (budget.queries_per_target, budget.seconds, budget.patience) == (50, 60.0, 9)


@pytest.mark.parametrize(
    "wrong",
    [
        {"seed": "one"},
        {"queries_per_target": 1.5},
        {"labels": {"a": 1}},
        {"keep_latents": "some"},
        {"space": SpaceSpec("normal", 0)},
        {"parameters": {"population": 2**60}},
    ],
)
def test_what_is_wrong_here_is_told_here(client, wrong):
    with pytest.raises(InvalidSpec):
        bare(client, **wrong)


def test_a_large_tell_goes_in_pieces(client, monkeypatch):
    monkeypatch.setattr(measuring, "SEND_BYTES", 200)
    study = bare(client, parameters={"population": 20}, queries_per_target=20)
    candidates = study.ask()
    told = study.tell(candidates, np.arange(20.0))
    assert (told.accepted, told.repeated) == (20, 0)
    assert told.state is StudyState.SUCCEEDED
    np.testing.assert_array_equal(next(study.generations()).scores, [np.arange(20.0)])


def test_a_function_measures_until_the_study_ends(client):
    study = bare(client, parameters={"population": 5})
    end = study.ask_tell(lambda latents: -(latents**2).sum(1), 3)
    assert (end.state, end.search_rows) == (StudyState.SUCCEEDED, 20)


def test_the_function_of_a_loop_fails(client):
    study = bare(client)

    def broken(latents):
        raise ValueError("the rig fell over")

    began = time.monotonic()
    with pytest.raises(ValueError, match="fell over"):
        study.ask_tell(broken)
    with pytest.raises(ShapeMismatch, match="each of"):
        study.ask_tell(lambda latents: np.ones(len(latents) - 1))
    assert study.progress().search_rows == 0
    assert time.monotonic() - began < 40, "the second loop waited for the lease of the first"


def test_a_study_that_ends_in_the_loop(client):
    study = bare(client)

    def ending(latents):
        study.cancel()
        return np.ones(len(latents))

    assert study.ask_tell(ending).state is StudyState.CANCELLED


def test_values_of_any_numeric_kind(client):
    study = bare(client, parameters={"population": 5}, queries_per_target=20)
    for values in (np.ones(5, np.float16), [1, 2, 3, 4, 5], np.ones((5, 1)), [True] * 5):
        assert study.tell(study.ask(), values).accepted == 5
    other = bare(client, parameters={"population": 5})
    for values in (["a"] * 5, np.ones((5, 1, 1)), np.ones(4), 3.0):
        with pytest.raises(ShapeMismatch):
            other.tell(other.ask(lease=0.01), values)


def test_arrays_may_be_written_to(client):
    study = search(client, "sim", queries_per_target=16)
    study.wait(30)
    study.best(stimuli=True)[0].stimulus[:] = 1
    study.best()[0].latent[:] = 0
    next(study.generations()).scores[:] = 0
    bare(client).ask().latents[:] = 1


def test_extending_to_nothing(client):
    with pytest.raises(InvalidInput, match="1 or more"):
        bare(client).extend(queries_per_target=0)


def test_a_call_has_its_time(client):
    impatient = bam.connect(client._connection.target, timeout=5)
    impatient._connection.timeout = 0.1
    with pytest.raises(ServerUnavailable, match="in time"):
        impatient.probe("sleepy")
    impatient.close()


def test_observes_stimuli_of_the_callers_own(client):
    images = np.random.default_rng(0).random((5, *TABLES["generators"]["pixels"]["shape"]), "f4")
    activations = client.observe("slow", images, ["units:0", "units:1"])
    assert activations.shape == (5, 2)
    assert np.array_equal(client.observe("slow", images[2:3], ["units:1"])[0], activations[2, 1:])
    assert client.observe("slow", images[:0], ["units:0"]).shape == (0, 1)
    rounded = client.observe("slow", (images * 255).round().astype(np.uint8), ["units:0"])
    assert np.allclose(rounded[:, 0], activations[:, 0], atol=0.01)
    assert not np.array_equal(rounded[:, 0], activations[:, 0])
    with pytest.raises(ShapeMismatch, match="stimuli"):
        client.observe("slow", images[:, :, :-1], ["units:0"])
    with pytest.raises(UnknownUnit):
        client.observe("slow", images, ["units:999"])


def test_a_masked_measurement_failed_and_no_bit_of_the_others_is_lost(client):
    study = bare(client, parameters={"population": 4}, queries_per_target=4)
    values = np.ma.masked_array([1.0 + 2.0**-40, 9.0, 0.5, 8.0], [False, True, False, True])
    study.tell(study.ask(), values.astype(np.longdouble))
    scores = next(study.generations()).scores
    np.testing.assert_array_equal(scores, [[1.0 + 2.0**-40, np.nan, 0.5, np.nan]])
    assert study.progress().failed_rows == 2
