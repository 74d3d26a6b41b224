"""Commands with a time limit, which end with every process that they started."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

MARK = "BLACKBOX_AM_COMMAND"
"""A variable of a command and of all its processes, by which they are found on Linux."""
PROC = Path("/proc")
END_SECONDS = 10.0
"""Seconds in which a process ends after SIGKILL."""


class HungCommand(Exception):
    """A command took longer than its limit; it was ended with all its processes."""


def end_on_sigterm() -> None:
    """Has SIGTERM end this process like an error, so that commands and servers end with it."""
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))


@contextmanager
def started(
    command: str | list[str], folder: Path, environment: Mapping[str, str], **options: Any
) -> Iterator[subprocess.Popen[Any]]:
    """Starts a command. At the end of the context, it and all processes that it started are ended.

    Args:
        command: of the shell, or a list of arguments.
        folder: where it runs.
        environment: its variables.
        options: of `subprocess.Popen`.
    """
    mark = secrets.token_hex(8)
    process = subprocess.Popen(  # noqa: S603  # a command of a client.toml
        command,
        shell=isinstance(command, str),
        cwd=folder,
        env={**environment, MARK: mark},
        start_new_session=True,  # so that the whole group can be ended
        **options,
    )
    try:
        yield process
    finally:
        end(process, mark)


def end(process: subprocess.Popen[Any], mark: str) -> None:
    """Ends a process, its group, and the processes of other groups that have its mark."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    for number in _marked(mark):
        with suppress(ProcessLookupError, PermissionError):
            os.kill(number, signal.SIGKILL)
    process.wait(END_SECONDS)


def run(
    command: str,
    folder: Path,
    environment: Mapping[str, str],
    seconds: float,
    *,
    captured: bool = False,
) -> tuple[int, str]:
    """Runs a command of the shell.

    Args:
        command, folder, environment: of the command.
        seconds: its limit.
        captured: whether its output is returned, and not shown.

    Returns:
        The exit code and the output.

    Raises:
        HungCommand: if the command takes longer.
    """
    where = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT} if captured else {}
    with started(command, folder, environment, stdin=subprocess.DEVNULL, **where) as process:
        try:
            output, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            raise HungCommand(
                f"{command!r} did not end within {seconds:g} s, and was ended"
            ) from None
        finally:
            if process.stdout is not None:
                process.stdout.close()
    return process.returncode, (output or b"").decode("utf-8", "replace")


def _marked(mark: str) -> Iterator[int]:
    """The processes with the mark; none where there is no `/proc`."""
    wanted = f"{MARK}={mark}".encode()
    for folder in PROC.glob("[0-9]*"):
        with suppress(OSError):  # it has ended, or belongs to another user
            if wanted in (folder / "environ").read_bytes().split(b"\0"):
                yield int(folder.name)
