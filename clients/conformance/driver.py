"""A driver: a process of one language that speaks the protocol on its standard streams."""

from __future__ import annotations

import json
import os
import queue
import shlex
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Self

from clients import processes

Plain = dict[str, Any]

END_SECONDS = 10.0
"""Seconds that a driver may take to end."""
SEND_SECONDS = 60.0
"""Seconds in which a driver reads a request."""


class DriverLost(Exception):
    """The driver ended, did not answer in time, or wrote something else than an answer."""


class Driver:
    """A running driver.

    Args:
        command: the command of its program.
        folder: where it runs.
        environment: further variables.
    """

    def __init__(
        self, command: str, folder: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self._command = command
        self._folder = folder
        self._environment = {**os.environ, **(environment or {})}
        self._answers: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._early: dict[int, Plain] = {}
        self._last = 0

    def __enter__(self) -> Self:
        self._errors = tempfile.TemporaryFile("w+b")  # closed with the process
        self._stack = ExitStack()
        self._process = self._stack.enter_context(
            processes.started(
                shlex.split(self._command),
                self._folder,
                self._environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                text=True,
                encoding="utf-8",
            )
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        process = self._process
        with suppress(OSError):  # it has ended, and did not read everything
            if process.stdin is not None:
                process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            process.wait(END_SECONDS)
        self._stack.close()  # ends the driver, and what it has started
        self._reader.join(END_SECONDS)
        if process.stdout is not None:
            process.stdout.close()
        self._errors.close()

    def send(self, do: str, arguments: Plain) -> int:
        """Sends a request. Returns its id, for `collect`.

        Raises:
            DriverLost: if the driver has ended.
        """
        self._last += 1
        line = json.dumps({"id": self._last, "do": do, **arguments}, allow_nan=False)
        overdue = threading.Timer(SEND_SECONDS, self._process.kill)
        overdue.start()
        try:
            assert self._process.stdin is not None
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        except (OSError, ValueError) as error:
            raise DriverLost(
                f"the driver has ended, or did not read its input for {SEND_SECONDS:g} s; its "
                f"output ends with:\n{self.tail()}"
            ) from error
        finally:
            overdue.cancel()
        return self._last

    def collect(self, number: int, seconds: float) -> Plain:
        """The answer to request `number`, waited for at most so long.

        Raises:
            DriverLost: if no answer came, or something else.
        """
        deadline = time.monotonic() + seconds
        while number not in self._early:
            try:
                line = self._answers.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise DriverLost(f"no answer within {seconds:.0f} s\n{self.tail()}") from None
            if line is None:
                code = self._code()
                raise DriverLost(f"the driver ended with code {code}\n{self.tail()}")
            found = _parsed(line)
            self._early[found["id"]] = found
        return self._early.pop(number)

    def tail(self, lines: int = 15) -> str:
        """The last lines of its standard error."""
        self._errors.seek(0)
        return "\n".join(self._errors.read().decode("utf-8", "replace").splitlines()[-lines:])

    def _code(self) -> int | str:
        """The exit code of a driver whose output has ended."""
        try:
            return self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            return "none, as it still runs"

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._answers.put(line)
        self._answers.put(None)


def _parsed(line: str) -> Plain:
    try:
        found: Plain = json.loads(line)
        if isinstance(found["id"], int) and ("ok" in found) != ("error" in found):
            return found
    except (ValueError, KeyError, TypeError):
        pass
    raise DriverLost(f"expected an answer of the protocol on standard output, got: {line[:200]!r}")
