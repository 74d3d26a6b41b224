"""`bench loop`, part (e): the time of a study by how long waiting threads of PyTorch spin.

Processes measure the same study in turn, one after the other: with the default of libgomp, which is
the baseline, and with the value that `import blackbox_am` sets. Busy processes stand for other
programs of the machine.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from blackbox_am.bench.measurement import Measurement, compare

QUERIES = 64
SPINS = {"ours": "20000", "default": "300000"}
"""Values of GOMP_SPINCOUNT; the default is that of libgomp where no policy is set and there are as
many processors as threads."""
_BUSY = "while True: pass"


def measure(repeats: int, say: Callable[[str], None]) -> list[Measurement]:
    """The time of a study with our value over that with the default, on a machine without other
    programs, and beside one busy process for each processor.
    """
    return [
        _compared("no other program", 0, repeats, say),
        _compared("a busy process for each processor", os.cpu_count() or 1, repeats, say),
    ]


def _compared(name: str, busy: int, repeats: int, say: Callable[[str], None]) -> Measurement:
    found: dict[str, list[float]] = {kind: [] for kind in SPINS}
    with _busy(busy):
        for repeat in range(repeats):
            for kind, spins in SPINS.items():
                say(f"(e) {name}, {kind}, {repeat + 1} of {repeats}")
                found[kind].append(_in_process(spins))
    return compare(
        f"(e) our spinning / default, {name}", found["ours"], found["default"], "s/study"
    )


@contextmanager
def _busy(count: int) -> Iterator[None]:
    """Processes that use a processor each."""
    command = [sys.executable, "-c", _BUSY]
    running = [subprocess.Popen(command) for _ in range(count)]  # noqa: S603  # our own program
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def _in_process(spins: str) -> float:
    """Seconds of the study in a separate process, because libgomp reads the variable once."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("OMP_")}
    environment["GOMP_SPINCOUNT"] = spins
    command = [sys.executable, "-m", "blackbox_am.bench.waiting"]
    done = subprocess.run(  # noqa: S603  # our own module
        command, env=environment, capture_output=True, text=True, check=True
    )
    return float(done.stdout)


def _seconds() -> float:
    """Seconds of the second of two studies; the first loads the models."""
    from blackbox_am.studies import local

    def search(path: Path, queries: int) -> None:
        local.maximise(
            oracle="cifar_cnn",
            generator="cifar_vae",
            targets=["head:1", "head:3", "head:5", "head:7"],
            queries_per_target=queries,
            store=str(path),
        )

    with tempfile.TemporaryDirectory() as folder:
        search(Path(folder) / "first.sqlite3", 1)
        started = time.perf_counter()
        search(Path(folder) / "second.sqlite3", QUERIES)
        return time.perf_counter() - started


if __name__ == "__main__":
    print(_seconds())
