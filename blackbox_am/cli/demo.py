"""`blackbox-am demo`: a server and a client, in processes of their own, from start to end."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from blackbox_am.cli.console import err
from blackbox_am.cli.failures import INTERRUPTED
from blackbox_am.testing.server import ServerProcess

UNITS = (
    "layer1.0.conv1:3",
    "layer2.1.conv1:5",
    "layer3.1.conv1:9",
    "layer3:77",
    "head:1",
    "head:3",
    "head:5",
    "head:7",
    "head:8",
    "head:9",
)
"""What the demo looks for: hidden channels of the shipped classifier, and class logits."""

QUERIES = 800
"""Of each unit and search: a minute or so on two cores."""


def demo(
    folder: Annotated[
        Path, typer.Option("--out", "-o", help="Folder for the pictures and the table.")
    ] = Path("demo"),
    queries: Annotated[
        int, typer.Option("--queries", "-q", min=1, help="Model evaluations a unit and search.")
    ] = QUERIES,
    units: Annotated[
        int, typer.Option("--units", "-k", min=1, max=len(UNITS), help="How many units.")
    ] = len(UNITS),
    seed: Annotated[int, typer.Option("--seed", help="Fixes every random number.")] = 0,
) -> None:
    """Search units of the shipped classifier through a server, and draw what was found.

    Starts a server in a process of its own, with a store in a temporary folder. A client
    in another process creates two studies of the same units over gRPC: CMA-ES, and random
    search with as many queries. Then the server is stopped.

    It writes montage.png (the stimuli), convergence.png (score against queries) and
    summary.json (the table).
    """
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="blackbox-am-demo-") as place:
        err.print("server starting", style="dim")
        with ServerProcess(Path(place)) as server:
            arguments = ["demo-client", "--server", server.address, "--out", str(folder)]
            arguments += ["--queries", str(queries), "--units", str(units), "--seed", str(seed)]
            code = _client(arguments)
            ended = server.stop()
        said = f"; it said:\n{server.tail()}" if ended else ""
        err.print(
            f"server stopped with code {ended}, {time.monotonic() - started:.0f} s in all{said}",
            style="dim",
            markup=False,
        )
    if code:
        raise typer.Exit(code)


def client_half(
    server: Annotated[str, typer.Option("--server")],
    folder: Annotated[Path, typer.Option("--out")],
    queries: Annotated[int, typer.Option("--queries")],
    units: Annotated[int, typer.Option("--units")],
    seed: Annotated[int, typer.Option("--seed")],
) -> None:
    """The half of the demo that only talks to the server, in the process that demo starts."""
    from blackbox_am.cli.demo_client import attend

    attend(server, UNITS[:units], queries, seed, folder)


def _client(arguments: list[str]) -> int:
    """Runs the client to its end, on this terminal: its exit code."""
    command = [sys.executable, "-m", "blackbox_am.cli", *arguments]
    with subprocess.Popen(command) as process:  # noqa: S603  # our own command
        try:
            return process.wait()
        except KeyboardInterrupt:  # the client has had it too
            process.wait()
            return INTERRUPTED
