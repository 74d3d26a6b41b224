"""`blackbox-am demo`: a server and a client, in processes of their own, from start to end."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from blackbox_am.cli.console import err
from blackbox_am.cli.failures import INTERRUPTED
from blackbox_am.errors import ServerUnavailable

UNITS = (
    "head:3",
    "layer3.1.conv1:9",
    "head:9",
    "layer1.0.conv1:3",
    "head:1",
    "head:7",
    "layer2.1.conv1:5",
    "head:8",
    "head:5",
    "layer3:77",
)
"""What the demo looks for: class logits of the shipped classifier and hidden channels."""

_START_SECONDS = 90.0
_STOP_SECONDS = 15.0


def demo(
    folder: Annotated[
        Path, typer.Option("--out", "-o", help="Folder for the pictures and the table.")
    ] = Path("demo"),
    queries: Annotated[
        int, typer.Option("--queries", "-q", min=1, help="Model evaluations a unit and search.")
    ] = 1000,
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
        with _server(Path(place)) as address:
            arguments = ["demo-client", "--server", address, "--out", str(folder)]
            arguments += ["--queries", str(queries), "--units", str(units), "--seed", str(seed)]
            code = _client(arguments)
        err.print(f"server stopped, {time.monotonic() - started:.0f} s in all", style="dim")
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


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "blackbox_am.cli", *arguments]


@contextmanager
def _server(place: Path) -> Iterator[str]:
    """A server on a free port while the context lasts: its address."""
    ready, log = place / "address", place / "server.log"
    arguments = ["serve", "--address", "127.0.0.1:0", "--store", str(place / "studies.sqlite3")]
    with log.open("wb") as sink:
        process = subprocess.Popen(  # noqa: S603  # our own command
            _command(*arguments, "--ready-file", str(ready)),
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for us: the server is stopped in its turn
        )
    try:
        err.print(f"server starting, process {process.pid}", style="dim")
        yield _await_address(process, ready, log)
    finally:
        _stop(process, log)


def _await_address(process: subprocess.Popen[bytes], ready: Path, log: Path) -> str:
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        if ready.exists():
            return ready.read_text("utf-8").strip()
        time.sleep(0.05)
    what = "did not start" if process.poll() is not None else f"took over {_START_SECONDS:.0f} s"
    raise ServerUnavailable(f"the server {what}; it said:\n{_tail(log)}")


def _stop(process: subprocess.Popen[bytes], log: Path) -> None:
    """Asks the server to end, as an operator would, and sees that it does."""
    process.terminate()
    try:
        code = process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        err.print(f"the server did not stop within {_STOP_SECONDS:.0f} s and was killed")
    else:
        if code:
            err.print(f"the server ended with code {code}; it said:\n{_tail(log)}", markup=False)


def _client(arguments: list[str]) -> int:
    """Runs the client to its end, on this terminal: its exit code."""
    with subprocess.Popen(_command(*arguments)) as process:  # noqa: S603  # our own command
        try:
            return process.wait()
        except KeyboardInterrupt:  # the client has had it too
            process.wait()
            return INTERRUPTED


def _tail(log: Path, lines: int = 15) -> str:
    return "\n".join(log.read_text("utf-8", "replace").splitlines()[-lines:])
