"""The cost of bits that do not depend on memory addresses.

Three processes measure the same work: one in MKL's default mode without copies, which is the
baseline, one in MKL's reproducible mode, and one in the default mode with copies to aligned
memory. Each repeat runs all three, one after the other.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from blackbox_am.bench.measurement import Measurement, compare

SECONDS = 0.1
"""Shortest time in seconds for which each piece of work is repeated."""
POPULATION = 24
MODES = {"default": ("", "off"), "reproducible": ("AUTO", "on"), "copies": ("", "on")}
"""For each guard: the value of MKL_CBWR, and whether operands are copied to aligned memory."""


@dataclass(frozen=True)
class Work:
    """A piece of work.

    Attributes:
        optimizer: the optimizer whose ask and tell are timed; empty for a product of matrices.
        dimension: D. Where it is no multiple of 4, matrices of later targets are not aligned.
        targets: K.
    """

    optimizer: str
    dimension: int
    targets: int = 1

    def __str__(self) -> str:
        if not self.optimizer:
            return f"product of {self.dimension} x {self.dimension}"
        return f"{self.optimizer}, D = {self.dimension}, K = {self.targets}"


WORK = (
    Work("", 2048),
    Work("cma", 128, 8),
    Work("cma", 129, 8),
    Work("xnes", 64, 8),
    Work("xnes", 65, 8),
    Work("cholesky_cma", 513, 4),
)


def measure(repeats: int, say: Callable[[str], None]) -> list[Measurement]:
    """The time of each piece of work with each guard, over its time without a guard."""
    found: dict[str, list[list[float]]] = {mode: [] for mode in MODES}
    for repeat in range(repeats):
        for mode in MODES:
            say(f"{mode}, {repeat + 1} of {repeats}")
            found[mode].append(_in_process(mode))
    lines = []
    for i, work in enumerate(WORK):
        base = [1e3 * times[i] for times in found["default"]]
        for mode in ("reproducible", "copies"):
            times = [1e3 * times[i] for times in found[mode]]
            lines.append(compare(f"{work}: {mode}", times, base, "ms"))
    return lines


def _in_process(mode: str) -> list[float]:
    """Seconds of each piece of work, in a separate process, because MKL reads its mode only
    once.
    """
    variable, guard = MODES[mode]
    environment = os.environ | {"MKL_CBWR": variable, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "blackbox_am.bench.alignment", guard]
    done = subprocess.run(  # noqa: S603  # our own module
        command, env=environment, capture_output=True, text=True, check=True
    )
    times: list[float] = json.loads(done.stdout)
    return times


def _seconds(work: Work) -> float:
    """The shortest processor time of one run. Other processes disturb processor time less than
    wall-clock time.
    """
    import torch

    from blackbox_am.bench.overhead import generation_of

    if work.optimizer:
        run = generation_of(work.optimizer, work.dimension, POPULATION, work.targets)
    else:
        a, b, c = (torch.rand(work.dimension, work.dimension) for _ in range(3))

        def run() -> None:
            torch.mm(a, b, out=c)

    run()
    best, spent, runs = math.inf, 0.0, 0
    while runs < 5 or spent < SECONDS:
        started = time.process_time()
        run()
        took = time.process_time() - started
        best, spent, runs = min(best, took), spent + took, runs + 1
    return best


def _main(guard: str) -> None:
    from blackbox_am.core import linear_algebra

    if guard == "off":  # the baseline: as if MKL were reproducible, so nothing is copied
        linear_algebra.reproducible = lambda: True
    print(json.dumps([_seconds(work) for work in WORK]))


if __name__ == "__main__":
    _main(sys.argv[1])
