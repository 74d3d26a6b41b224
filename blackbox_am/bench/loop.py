"""`bench loop`, parts (b) and (c): the overhead of the server.

(b) The same study on a server, created and watched over loopback, against a local one.
    The two alternate, study by study. Both times are those of a whole client's wait.
(c) Ask and Tell over the wire: candidates a second, each durable before it is
    acknowledged, against the same study in this process.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blackbox_am.bench import local_loop
from blackbox_am.bench.local_loop import POPULATION, TARGETS
from blackbox_am.bench.measurement import Measurement, at_least, compare
from blackbox_am.catalogue import Catalogue
from blackbox_am.client import Client, connect
from blackbox_am.core.spec import (
    Budget,
    ObjectiveSpec,
    OptimizerSpec,
    SpaceSpec,
    StudySpec,
)
from blackbox_am.stores import SQLStore
from blackbox_am.studies import local
from blackbox_am.studies.live import LiveStudy
from blackbox_am.studies.resolving import Request, resolve
from blackbox_am.testing.server import ServerProcess

Progress = Callable[[str], None]

UNITS = local_loop.UNITS[:TARGETS]


def wire_overhead(repeats: int, generations: int, say: Progress) -> Measurement:
    """(b): seconds a study, on a server over loopback against in this process."""
    catalogue = Catalogue.default()
    queries = generations * POPULATION
    remote, here = [], []
    with tempfile.TemporaryDirectory() as folder, ServerProcess(Path(folder)) as server:
        client = connect(server.address)
        for index in range(repeats + 1):
            pair = {
                "here": lambda i=index: _local_study(Path(folder), catalogue, i, queries),
                "remote": lambda i=index: _remote_study(client, i, queries),
            }
            # The order alternates, so that a drift of the machine affects both equally.
            order = list(pair) if index % 2 else list(reversed(pair))
            seconds = {name: _seconds(pair[name]) for name in order}
            if index:  # the first is a warm-up
                here.append(seconds["here"])
                remote.append(seconds["remote"])
            say(f"(b) study {index} of {repeats}")
        client.close()
    return compare("(b) over loopback / in process", remote, here, "s/study", at_most=1.08)


def ask_tell_rate(dimension: int, seconds: float, say: Progress) -> Measurement:
    """(c): candidates a second through Ask and Tell at `dimension`."""
    say(f"(c) ask and tell at D = {dimension}")
    with tempfile.TemporaryDirectory() as folder, ServerProcess(Path(folder)) as server:
        client = connect(server.address)
        study = client.create(
            space=SpaceSpec("normal", dimension),
            targets=[ObjectiveSpec("mean", quantities=("score",))] * 4,
            optimizer="sep_cma",
            parameters={"population": 40},
            queries_per_target=10**8,
        )
        told, started = 0, time.perf_counter()
        while time.perf_counter() - started < seconds:
            candidates = study.ask()
            study.tell(candidates, _score(candidates.latents))
            told += len(candidates)
        rate = told / (time.perf_counter() - started)
        study.cancel()
        client.close()
        alone = _in_process_rate(Path(folder), dimension, seconds)
    return at_least(f"(c) ask + tell, D = {dimension}", rate, "candidates/s", 500, alone)


def _in_process_rate(folder: Path, dimension: int, seconds: float) -> float:
    spec = StudySpec(
        targets=(ObjectiveSpec("mean", quantities=("score",)),) * 4,
        budget=Budget(queries_per_target=10**8),
        space=SpaceSpec("normal", dimension),
        optimizer=OptimizerSpec("sep_cma", {"population": 40}),
    )
    store = SQLStore(str(folder / "alone.sqlite3"))
    live = LiveStudy.create(store, "alone", resolve(Request(spec=spec)).created)
    told, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        generation, keys, _ = live.take(1000, 60.0)
        latents = generation.latents.flatten(0, 1).numpy()
        targets = np.array([target for target, _ in keys])
        rows = np.array([row for _, row in keys])
        live.tell(generation.index, targets, rows, _score(latents))
        told += len(keys)
    rate = told / (time.perf_counter() - started)
    store.close()
    return rate


def _score(latents: NDArray[Any]) -> NDArray[np.float32]:
    scores: NDArray[np.float32] = -np.square(latents - 0.5).mean(axis=1, keepdims=True, dtype="f4")
    return scores


def _seconds(function: Callable[[], None]) -> float:
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def _local_study(folder: Path, catalogue: Catalogue, index: int, queries: int) -> None:
    local.maximise(
        oracle="cifar_cnn",
        generator="cifar_vae",
        targets=UNITS,
        parameters={"population": POPULATION},
        queries_per_target=queries,
        store=str(folder / f"local{index}.sqlite3"),
        catalogue=catalogue,
    )


def _remote_study(client: Client, index: int, queries: int) -> None:
    study = client.create(
        oracle="cifar_cnn",
        generator="cifar_vae",
        targets=UNITS,
        parameters={"population": POPULATION},
        queries_per_target=queries,
        study_id=f"wire{index}",
    )
    for _ in study.watch():
        pass
    study.best()
