"""`bench kill`: SIGKILL at random moments, and the end must be the same to the bit."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from blackbox_am.bench.measurement import Measurement
from blackbox_am.client import Client, Study, connect
from blackbox_am.core.types import StopReason
from blackbox_am.errors import BlackboxError
from blackbox_am.stores import SQLStore
from blackbox_am.studies import reports
from blackbox_am.studies.events import GenerationClosed, decode
from blackbox_am.testing.server import ServerProcess

Progress = Callable[[str], None]

UNITS = ["head:3", "head:7", "layer1.0.conv1:4", "layer2.0.conv1:9"]


def kill(kills: int, queries: int, seed: int, say: Progress) -> list[Measurement]:
    """One study killed `kills` times against the same study left alone.

    Args:
        kills: how often the server is killed.
        queries: of each of the four targets.
        seed: of the moments.
        say: told what happens.
    """
    with tempfile.TemporaryDirectory() as folder:
        calm, killed = Path(folder) / "calm", Path(folder) / "killed"
        say("the study left alone")
        seconds = _run(calm, queries)
        moments = random.Random(seed)  # noqa: S311  # moments, not secrets
        done = 0
        for index in range(kills):
            # Most of the time to a kill is spent searching, not starting.
            done += _kill_once(killed, queries, moments.uniform(0.0, 2.0 * seconds / (kills + 1)))
            say(f"kill {index + 1} of {kills}; {done} of them mid-search")
        _run(killed, queries)
        return _verdict(calm, killed, done)


def _run(folder: Path, queries: int) -> float:
    """Starts a server on the folder's store and waits for the study to end."""
    folder.mkdir(exist_ok=True)
    with ServerProcess(folder) as server, connect(server.address) as client:
        started = time.perf_counter()
        study = _study(client, queries)
        study.wait()
        return time.perf_counter() - started


def _kill_once(folder: Path, queries: int, delay: float) -> int:
    """Starts the server, kills it after `delay`. Returns whether the study was going on."""
    folder.mkdir(exist_ok=True)
    with ServerProcess(folder) as server:
        try:
            with connect(server.address) as client:
                study = _study(client, queries)
                time.sleep(delay)
                active = study.progress().state.active
        except BlackboxError:
            active = False
        server.kill()
    return int(active)


def _study(client: Client, queries: int) -> Study:
    return client.create(
        oracle="cifar_cnn",
        generator="cifar_vae",
        targets=UNITS,
        optimizer="cma",
        queries_per_target=queries,
        study_id="killed-or-not",
        seed=11,
    )


def _verdict(calm: Path, killed: Path, mid_search: int) -> list[Measurement]:
    stores = [SQLStore(str(folder / ServerProcess.STORE)) for folder in (calm, killed)]
    studies = [reports.load(store, "killed-or-not") for store in stores]
    journals = [store.read("killed-or-not") for store in stores]
    checksums = [
        [
            (event.generation, event.checksum)
            for record in journal
            if isinstance(event := decode(record.body), GenerationClosed)
        ]
        for journal in journals
    ]
    scores = [
        [g.scores.tobytes() for g in reports.generations(store, "killed-or-not")]
        for store in stores
    ]
    best = [
        [
            (t.best_score, t.best_latent.tobytes())
            for t in study.targets
            if t.best_latent is not None
        ]
        for study in studies
    ]
    gaps = sum(record.sequence != place for place, record in enumerate(journals[1], start=1))
    ended = all(study.stop_reason is StopReason.BUDGET for study in studies)
    return [
        Measurement("kills during the search", mid_search, "kills"),
        _count("latents that differ", _differ(*checksums), "generations"),
        _count("scores that differ", _differ(*scores), "generations"),
        _count("best stimuli that differ", _differ(*best), "targets"),
        _count("gaps in the journal", gaps, "events"),
        _count("studies that did not end by their budget", int(not ended), "studies"),
    ]


def _differ(one: Sequence[object], other: Sequence[object]) -> int:
    return abs(len(one) - len(other)) + sum(a != b for a, b in zip(one, other, strict=False))


def _count(name: str, value: int, unit: str) -> Measurement:
    return Measurement(name, value, unit, target="0", met=value == 0)
