"""`bench service`: a server with many studies, and a server with a slow optimizer."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from blackbox_am.bench.measurement import Measurement
from blackbox_am.client import Client, connect
from blackbox_am.core.spec import Budget, GeneratorSpec, ObjectiveSpec, SpaceSpec, StudySpec
from blackbox_am.errors import Unsupported
from blackbox_am.generators.parametric.pixels import Pixels
from blackbox_am.oracles.simulated import Simulated
from blackbox_am.stores import SQLStore
from blackbox_am.studies.events import decode, entry
from blackbox_am.studies.local import run
from blackbox_am.studies.published import Published
from blackbox_am.testing.server import ServerProcess

Say = Callable[[str], None]

START_SECONDS = 2.0
"""What 10,000 finished studies may add to the start of a server."""
READ_SECONDS = 0.02
QUIET_SECONDS = 2.0
IDLE_BYTES = 50e6
SLOW_TARGETS, SLOW_DIMENSION = 16, 1000
"""Of a study whose optimizer takes seconds for a generation: `xnes` takes exponentials of
16 matrices of 1,000 x 1,000."""


def start_up(studies: int, say: Say) -> list[Measurement]:
    """Time to start a server on a store of finished studies, against an empty store.

    Args:
        studies: how many the store holds.
        say: told what happens.
    """
    with tempfile.TemporaryDirectory() as folder:
        empty, full = Path(folder) / "empty", Path(folder) / "full"
        for path in (empty, full):
            path.mkdir()
        say("a server on an empty store")
        baseline = _started(empty)[0]
        say(f"a store of {studies} finished studies is written")
        _fill(full, studies)
        say("a server on that store")
        seconds, listing = _started(full)
    added = seconds - baseline
    return [
        Measurement(
            f"start with {studies} finished studies",
            seconds,
            "s",
            baseline,
            seconds / baseline,
            f"<= {START_SECONDS:g} s more",
            added <= START_SECONDS,
        ),
        Measurement("list of all of them", listing, "s"),
    ]


def reading(say: Say) -> list[Measurement]:
    """Time of calls that only read, while an optimizer takes seconds, against a quiet server.

    Args:
        say: told what happens.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        ServerProcess(Path(folder)) as server,
        connect(server.address) as client,
    ):
        study = client.create(
            targets=[f"u:{k}" for k in range(SLOW_TARGETS)],
            space=SpaceSpec("normal", SLOW_DIMENSION),
            optimizer="xnes",
            parameters={"population": 8},
            queries_per_target=16,
            study_id="slow",
        )
        candidates = study.ask()
        calls: dict[str, Callable[[], object]] = {
            "GetServerInfo": client.server_info,
            "GetStudy": study.progress,
            "ListStudies": client.studies,
        }
        say("reading from a quiet server")
        deadline = time.perf_counter() + QUIET_SECONDS
        quiet = _times(calls, lambda: time.perf_counter() > deadline)
        scores = -np.square(candidates.latents).sum(1)
        thread = threading.Thread(target=study.tell, args=(candidates, scores))
        say("reading while the optimizer learns")
        started = time.perf_counter()
        thread.start()
        busy = _times(calls, lambda: not thread.is_alive())
        seconds = time.perf_counter() - started
    lines = [Measurement("one Tell, of which the optimizer takes most", seconds, "s")]
    for name, times in busy.items():
        value, baseline = float(np.median(times)), float(np.median(quiet[name]))
        limit = f"<= {1e3 * READ_SECONDS:g} ms"
        met = value <= READ_SECONDS
        title = f"{name} meanwhile"
        ratio = value / baseline
        lines.append(Measurement(title, 1e3 * value, "ms", 1e3 * baseline, ratio, limit, met))
    return lines


def idle_memory(studies: int, say: Say) -> Measurement:
    """Measure the memory of a server for idle studies of clients.

    Args:
        studies: number of studies.
        say: called with a text before each step.

    Raises:
        Unsupported: if the system does not report the memory of a process.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        ServerProcess(Path(folder)) as server,
        connect(server.address) as client,
    ):
        for k in range(20):  # what the first few load is not theirs
            _idle(client, f"first-{k}")
        before = _resident_bytes(server.process.pid)
        say(f"{studies} studies of clients, each asked once")
        for k in range(studies):
            _idle(client, f"idle-{k}")
        time.sleep(3.0)  # the server looks every second which studies may leave
        added = _resident_bytes(server.process.pid) - before
    limit = f"<= {IDLE_BYTES / 1e6:g} MB"
    name = f"memory of {studies} idle studies"
    return Measurement(name, added / 1e6, "MB", target=limit, met=added <= IDLE_BYTES)


def _fill(folder: Path, studies: int) -> None:
    """Write a store of finished studies: copies of one study under other ids."""
    store = SQLStore(str(folder / ServerProcess.STORE))
    try:
        run(
            StudySpec(
                targets=(ObjectiveSpec("mean", quantities=("units:0", "units:1")),),
                budget=Budget(queries_per_target=100),
                generator=GeneratorSpec("pixels"),
                oracle="simulated",
            ),
            oracle=Simulated(),
            generator=Pixels((3, 8, 8)),
            store=store,
            study_id="original",
            device="cpu",
        )
        events = [entry(decode(record.body)) for record in store.read("original")]
        published, folded = Published.read(store.find("original")), store.folded("original")
        assert folded is not None  # it is written when a study ends
        for k in range(studies - 1):
            name = f"copy-{k}"
            copy = replace(published, progress=replace(published.progress, study_id=name))
            store.append(name, 1, events, summary=copy.summary(folded.body))
    finally:
        store.close()


def _idle(client: Client, study_id: str) -> None:
    study = client.create(targets=["u:0"], space=SpaceSpec("normal", 64), study_id=study_id)
    study.ask(4)


def _times(
    calls: dict[str, Callable[[], object]], ended: Callable[[], bool]
) -> dict[str, list[float]]:
    """Seconds of each call; the calls are made in turn until an event."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    while not ended():
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - started)
        time.sleep(0.01)
    return times


def _started(folder: Path) -> tuple[float, float]:
    """Seconds until a server on the folder's store answers, and seconds of its first list of
    studies.
    """
    started = time.perf_counter()
    with ServerProcess(folder) as server, connect(server.address) as client:
        client.server_info()
        seconds = time.perf_counter() - started
        started = time.perf_counter()
        client.studies()
        return seconds, time.perf_counter() - started


def _resident_bytes(pid: int) -> int:
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        raise Unsupported("the memory of a process is read from /proc, which this system lacks")
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024
