"""The bench program of the Python client: `python -m blackbox_am.bench.client_program SERVER D
SECONDS`. Clients in other languages have the same program, see `clients/conformance/PROTOCOL.md`.
"""

from __future__ import annotations

import json
import sys
import time
import uuid
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from blackbox_am.client import Client, connect
from blackbox_am.core.spec import SpaceSpec

STIMULUS_SHAPE = (3, 1024, 1024)
UNITS = ("scores:0", "scores:1")
POPULATION = 1000
QUERIES = 10**9


def first_two(stimuli: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N, 2): the first two numbers of each stimulus; the server's oracle `bench`."""
    return stimuli.reshape(len(stimuli), -1)[:, :2]


def ask_tell_rate(client: Client, dimension: int, seconds: float) -> float:
    """Candidates a second through ask and tell, for latents of this dimension."""
    study = client.create(
        targets=["neuron:0"],
        space=SpaceSpec("box", dimension, low=(-1.0,), high=(1.0,)),
        optimizer="random",
        parameters={"population": POPULATION},
        queries_per_target=QUERIES,
        study_id=f"bench-{uuid.uuid4().hex[:12]}",
    )

    def step() -> int:
        found = study.ask()
        study.tell(found, found.latents[:, 0])
        return len(found)

    rate = _rate(step, seconds)
    study.cancel()
    return rate


def observe_rate(client: Client, seconds: float) -> float:
    """Megabytes of stimuli a second through ObserveStream."""
    stimuli = np.full((1, *STIMULUS_SHAPE), 0.5, np.float32)

    def step() -> int:
        client.observe("bench", stimuli, UNITS)
        return stimuli.nbytes

    return _rate(step, seconds) / 1e6


def _rate(step: Callable[[], int], seconds: float) -> float:
    """What `step` returns, a second; the first call is not counted."""
    step()
    done, started = 0, time.perf_counter()
    while (took := time.perf_counter() - started) < seconds:
        done += step()
    return done / took


def main() -> None:
    """The program."""
    server, dimension, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    with connect(server) as client:
        found = {
            "ask_tell_candidates_per_s": ask_tell_rate(client, dimension, seconds),
            "observe_stream_mb_per_s": observe_rate(client, seconds),
        }
    print(json.dumps(found))  # the result, for the program that started this one


if __name__ == "__main__":
    main()
