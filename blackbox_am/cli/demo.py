"""`blackbox-am demo`: runs a server and a client in separate processes, from start to end."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from blackbox_am.cli.console import err, plain
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
"""The targets of the demo: hidden channels and class logits of the shipped classifier."""

QUERIES = 800
"""Queries of each unit and search; the demo takes about a minute on two cores."""


def demo(
    folder: Annotated[
        Path, typer.Option("--out", "-o", help="Folder for the pictures and the table.")
    ] = Path("demo"),
    queries: Annotated[
        int,
        typer.Option("--queries", "-q", min=1, help="Model evaluations for each unit and search."),
    ] = QUERIES,
    units: Annotated[
        int, typer.Option("--units", "-k", min=1, max=len(UNITS), help="Number of units.")
    ] = len(UNITS),
    seed: Annotated[int, typer.Option("--seed", help="Seed of all random numbers.")] = 0,
    show: Annotated[
        bool, typer.Option("--open", help="Show the page in a browser afterwards.")
    ] = False,
) -> None:
    """Search units of the shipped classifier through a server, and draw the results.

    The demo starts a server in another process, with a store in a temporary folder. A client
    in a third process creates two studies of the same units over gRPC: one with CMA-ES, and
    one with random search and the same number of queries. Then the demo stops the server.

    The demo writes montage.png (the stimuli), convergence.png (score against queries),
    summary.json (the table) and index.html, a page of all three.
    """
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="blackbox-am-demo-") as place:
        err.print("server starting", style="dim")
        with ServerProcess(Path(place)) as server:
            arguments = ["demo-client", "--server", server.address, "--out", str(folder)]
            arguments += ["--queries", str(queries), "--units", str(units), "--seed", str(seed)]
            code = _client(arguments)
            ended = server.stop()
        log = f"; its log ends with:\n{server.tail()}" if ended else ""
        err.print(
            f"server stopped with code {ended}, {time.monotonic() - started:.0f} s in all{log}",
            style="dim",
            markup=False,
        )
    if code:
        raise typer.Exit(code)
    _say_next(folder, show=show)


def _say_next(folder: Path, *, show: bool) -> None:
    """Say what to do next, and show the page if that is wanted and possible."""
    from blackbox_am.cli.demo_report import NEXT_STEPS, PAGE

    page = folder / PAGE
    plain("\nnext:")
    width = max(len(what) for what, _ in NEXT_STEPS)
    for what, command in NEXT_STEPS:
        plain(f"  {what:{width}}  {command}")
    if show and not webbrowser.open(page.absolute().as_uri()):
        err.print(f"no browser was found; open {page} in one", markup=False, soft_wrap=True)


def client_half(
    server: Annotated[str, typer.Option("--server")],
    folder: Annotated[Path, typer.Option("--out")],
    queries: Annotated[int, typer.Option("--queries")],
    units: Annotated[int, typer.Option("--units")],
    seed: Annotated[int, typer.Option("--seed")],
) -> None:
    """The client of the demo, which `blackbox-am demo` starts in another process."""
    from blackbox_am.cli.demo_client import search_and_report

    search_and_report(server, UNITS[:units], queries, seed, folder)


def _client(arguments: list[str]) -> int:
    """Run the client on this terminal until it ends, and return its exit code."""
    command = [sys.executable, "-m", "blackbox_am.cli", *arguments]
    with subprocess.Popen(command) as process:  # noqa: S603  # our own command
        try:
            return process.wait()
        except KeyboardInterrupt:  # the terminal interrupts the client as well
            process.wait()
            return INTERRUPTED
