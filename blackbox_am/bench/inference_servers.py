"""Comparison of the oracle `inference_protocol` with the inference servers' own clients.

Both call the same server in the same run, in turn, for the scores of the same number of rows.
The server's client runs in its own environment, from a numpy array to a numpy array. The oracle
goes from a tensor of stimuli to the activations of ten units. The network has negligible cost
(`testing/inference_servers/network.py`), so that the measurement compares the transport.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from blackbox_am.bench.measurement import Measurement
from blackbox_am.core.units import Unit
from blackbox_am.errors import ServerFailed
from blackbox_am.oracles.inference_protocol import InferenceProtocol
from blackbox_am.testing.inference_servers import network, own_client_program
from blackbox_am.testing.inference_servers.server import InferenceServer

Say = Callable[[str], None]

MODEL = "floats"
UNITS = [Unit("scores", i) for i in range(10)]


def measure(
    kinds: Sequence[str],
    protocols: Sequence[str],
    rows: int,
    repeats: int,
    requests: int,
    say: Say,
) -> list[Measurement]:
    """Rows a second of the oracle and of the server's client, for each server and protocol.

    Args:
        kinds: keys of `environments.PACKAGES`.
        protocols: `grpc`, `http`.
        rows: rows in a request; at most 32, the limit of the Triton configuration.
        repeats: turns of each client.
        requests: requests in a turn.
        say: called with a text before each step.

    Raises:
        Unsupported: if a server cannot be installed.
        ServerUnavailable: if a server does not start.
        ServerFailed: if a server's client fails.
    """
    lines = []
    for kind in kinds:
        say(f"{kind}: installing the server if necessary, and starting it")
        with (
            tempfile.TemporaryDirectory() as folder,
            InferenceServer(kind, Path(folder)) as server,
        ):
            for protocol in protocols:
                say(f"{kind} over {protocol}: {repeats} x {requests} requests of {rows} rows")
                lines.append(compared(server, protocol, rows, repeats, requests))
    return lines


def compared(
    server: InferenceServer, protocol: str, rows: int, repeats: int, requests: int
) -> Measurement:
    """Compare both clients on one running server; arguments and errors as in `measure`."""
    # KServe accepts binary tensors over HTTP without announcing it; MLServer rejects them.
    binary = True if server.kind == "kserve" else None
    address = getattr(server, protocol)
    oracle = InferenceProtocol(
        address, MODEL, protocol="http" if protocol == "http" else "grpc", binary=binary
    )
    stimuli = torch.rand(rows, *network.SHAPE)
    oracle.observe(stimuli, UNITS)
    ours, theirs = [], []
    with _own_client(server, protocol, rows, requests) as their_rate:
        for _ in range(repeats):
            theirs.append(their_rate())
            started = time.perf_counter()
            for _ in range(requests):
                oracle.observe(stimuli, UNITS)
            ours.append(rows * requests / (time.perf_counter() - started))
    oracle.close()
    low, ratio, high = (float(q) for q in np.percentile(np.divide(ours, theirs), [25, 50, 75]))
    return Measurement(
        f"{server.kind} over {protocol}, {rows} rows a request",
        float(np.median(ours)),
        "rows/s",
        float(np.median(theirs)),
        ratio,
        low=low,
        high=high,
    )


@contextmanager
def _own_client(
    server: InferenceServer, protocol: str, rows: int, requests: int
) -> Iterator[Callable[[], float]]:
    """The server's client in a separate process; each call of the function is one turn."""
    command = [str(server.python), str(own_client_program()), server.kind, protocol]
    command += [getattr(server, protocol), MODEL, str(rows), str(requests)]
    log = server.log.with_suffix(".client.log")
    with (
        log.open("w") as sink,
        subprocess.Popen(  # noqa: S603  # our own command
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=sink, text=True
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        stdin, stdout = process.stdin, process.stdout

        def rate() -> float:
            try:
                stdin.write("\n")
                stdin.flush()
            except BrokenPipeError:
                pass  # the process has ended; its log says why
            line = stdout.readline()
            if not line:
                end = log.read_text("utf-8", "replace").splitlines()[-5:]
                raise ServerFailed(f"the client of {server.kind} ended: " + "\n".join(end))
            return float(line)

        try:
            rate()  # a warm-up: opens connections and fills caches
            yield rate
        finally:
            process.terminate()
