"""`blackbox-am bench clients`: clients in other languages beside that of Python."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from blackbox_am.bench import measurement
from blackbox_am.bench.measurement import Measurement, compare
from blackbox_am.bench.options import JsonFile
from blackbox_am.errors import InvalidInput, ServerFailed

PYTHON = "python"
DIMENSIONS = (512, 4096)
TARGETS = {"cpp": 1.0, "typescript": 0.7}
"""Smallest ratio to the Python client that a client should reach."""
RECONNECT_SECONDS = 3.0
LIMIT_SECONDS = 60.0
"""The limit of a bench program, beside ten times the seconds of a measurement."""
CONFIG = """
[server]
shipped = false
device = "cpu"

[oracles.bench]
kind = "function"
function = "blackbox_am.bench.client_program:first_two"
stimulus_shape = [3, 1024, 1024]
model = "first-two"
"""
QUANTITIES = {
    "ask_tell_candidates_per_s": ("ask + tell", "candidates/s"),
    "observe_stream_mb_per_s": ("ObserveStream", "MB/s"),
}

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Program:
    """The programs of one client.

    Attributes:
        language: of the client.
        bench: command of its bench program; empty if it has none.
        driver: command of its conformance driver.
        folder: where both run.
    """

    language: str
    bench: str
    driver: str
    folder: Path


def clients(
    language: Annotated[
        list[str] | None,
        typer.Option("--language", help="Such as go; default all."),
    ] = None,
    folder: Annotated[
        Path, typer.Option("--clients", help="The folder clients/ of the sources, built.")
    ] = Path("clients"),
    repeats: Annotated[int, typer.Option(help="Turns of each client.", min=1)] = 3,
    seconds: Annotated[float, typer.Option(help="Seconds of each measurement.", min=0.5)] = 4.0,
    json_file: JsonFile = None,
) -> None:
    """Compare the clients in other languages with that of Python.

    ask + tell: candidates a second, for D = 512 and 4,096. ObserveStream: megabytes of stimuli a
    second. All clients call the same server, in turn; the baseline is the Python client.
    reconnect: seconds from the moment that a killed server serves again until a watcher has the
    next event; the baseline is the watcher of Python.

    The command needs the sources, and built clients: make clients-test. A client without a bench
    program only reconnects.
    """
    say: Progress = lambda text: typer.echo(text, err=True)  # noqa: E731
    programs = built(programs_of(folder, language or ()), language or (), say)
    measured = [program for program in programs if program.bench]
    lines = [*rates(measured, repeats, seconds, say), *reconnects(programs, repeats, say)]
    measurement.show(f"bench clients: {repeats} turns of {seconds:g} s", lines, json_file)


def programs_of(folder: Path, chosen: Sequence[str]) -> list[Program]:
    """The programs of the chosen clients, or of all; that of Python first.

    Raises:
        InvalidInput: if the folder has no such client.
    """
    found = {}
    for path in sorted(folder.glob("*/client.toml")):
        table = tomllib.loads(path.read_text("utf-8"))
        if table.get("driver"):
            name, bench = path.parent.name, table.get("bench", "")
            found[name] = Program(name, bench, table["driver"], path.parent.resolve())
    for name in chosen:
        if name not in found:
            raise InvalidInput(
                f"--language: {folder} has no client {name!r}; known: "
                f"{', '.join(found) or 'none'}; --clients names the folder"
            )
    program = f"{sys.executable} -m blackbox_am.bench.client_program"
    driver = f"{sys.executable} -m clients.conformance.drivers.python"
    python = Program(PYTHON, program, driver, folder.resolve().parent)
    return [python, *(found[name] for name in chosen or found)]


def built(programs: Sequence[Program], chosen: Sequence[str], say: Progress) -> list[Program]:
    """The programs that are built; `say` hears of the others.

    Raises:
        InvalidInput: if a chosen client is not built.
    """
    found = []
    for program in programs:
        absent = _absent(program)
        if not absent:
            found.append(program)
            continue
        lacks = f"{program.language} is not built ({absent} is missing); build it with: "
        lacks += f"python -m clients.run {program.language} --step build"
        if program.language in chosen:
            raise InvalidInput(f"--language: {lacks}")
        say(f"skipped: {lacks}")
    return found


def _absent(program: Program) -> str:
    """A command or a file that the client's programs need and that is missing."""
    for command in filter(None, (program.driver, program.bench)):
        first, *others = shlex.split(command)
        if not shutil.which(first) and not (program.folder / first).is_file():
            return first
        for word in others:  # such as the program of `node dist/bench/bench.js`
            if "/" in word and not (program.folder / word).is_file():
                return word
    return ""


def rates(
    programs: Sequence[Program], repeats: int, seconds: float, say: Progress
) -> list[Measurement]:
    """The rates of all clients at the same server, in turn."""
    from blackbox_am.testing.server import ServerProcess

    lines = []
    with tempfile.TemporaryDirectory() as place:
        config = Path(place) / "server.toml"
        config.write_text(CONFIG)
        with ServerProcess(Path(place), config) as server:
            for dimension in DIMENSIONS:
                found = _in_turn(programs, server.address, dimension, repeats, seconds, say)
                lines += _compared(found, dimension)
    return lines


def _in_turn(
    programs: Sequence[Program],
    address: str,
    dimension: int,
    repeats: int,
    seconds: float,
    say: Progress,
) -> dict[str, list[dict[str, float]]]:
    """What each bench program printed in each turn; the order alternates."""
    found: dict[str, list[dict[str, float]]] = {one.language: [] for one in programs}
    for turn in range(repeats):
        for program in programs if turn % 2 else reversed(programs):
            arguments = f"{program.bench} {address} {dimension} {seconds}"
            found[program.language].append(_run(program, arguments, seconds))
            say(f"D = {dimension}, turn {turn + 1} of {repeats}: {program.language}")
    return found


def _run(program: Program, command: str, seconds: float) -> dict[str, float]:
    limit = LIMIT_SECONDS + 10 * seconds
    with subprocess.Popen(  # noqa: S603  # the command of a client.toml
        shlex.split(command),
        cwd=program.folder,
        env=_environment(program),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            output, errors = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            raise ServerFailed(
                f"the bench program of {program.language} did not end within {limit:g} s"
            ) from None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # what it has started too
    if process.returncode:
        raise ServerFailed(
            f"the bench program of {program.language} ended with code {process.returncode}: "
            f"{errors.strip()[-400:]}"
        )
    found: dict[str, float] = json.loads(output.strip().splitlines()[-1])
    return found


def _compared(found: dict[str, list[dict[str, float]]], dimension: int) -> list[Measurement]:
    lines = []
    for key, (title, unit) in QUANTITIES.items():
        if key == "observe_stream_mb_per_s" and dimension != DIMENSIONS[0]:
            continue  # it does not depend on the dimension
        place = "" if key == "observe_stream_mb_per_s" else f", D = {dimension}"
        of_python = [turn[key] for turn in found[PYTHON]]
        for language, turns in found.items():
            values = [turn[key] for turn in turns]
            target = {"at_least": TARGETS.get(language, 0.0)}
            lines.append(compare(f"{title}{place}: {language}", values, of_python, unit, **target))
    return lines


def reconnects(programs: Sequence[Program], repeats: int, say: Progress) -> list[Measurement]:
    """The time in which each client's watcher comes back."""
    from blackbox_am.bench.reconnecting import reconnect_seconds

    found: dict[str, list[float]] = {}
    for program in programs:
        say(f"reconnect: {program.language}")
        found[program.language] = [
            reconnect_seconds(program.driver, program.folder, _environment(program))
            for _ in range(repeats)
        ]
    return [_reconnect(language, found) for language in found]


def _reconnect(language: str, found: dict[str, list[float]]) -> Measurement:
    line = compare(f"reconnect: {language}", found[language], found[PYTHON], "s")
    longest = max(found[language])
    target: dict[str, Any] = {
        "value": longest,
        "target": f"longest <= {RECONNECT_SECONDS:g} s",
        "met": longest <= RECONNECT_SECONDS,
    }
    return Measurement(**{**vars(line), **target})


def _environment(program: Program) -> dict[str, str]:
    """The variables of a client's programs."""
    root = program.folder if program.language == PYTHON else program.folder.parents[1]
    path = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH", "")]))
    return {**os.environ, "PYTHONPATH": path, "BLACKBOX_AM_PYTHON": sys.executable}
