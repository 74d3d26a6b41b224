"""How fast the watcher of a client comes back after kill -9 of the server."""

from __future__ import annotations

import json
import shlex
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from blackbox_am.client import connect
from blackbox_am.errors import ServerFailed
from blackbox_am.testing.server import ServerProcess

CONFIG = '[server]\nshipped = false\ndevice = "cpu"\n'
WAIT_SECONDS = 60.0


class Driver:
    """A conformance driver, which is sent one request after another.

    Args:
        command: its command.
        folder: where it runs.
        environment: its variables.
    """

    def __init__(self, command: str, folder: Path, environment: Mapping[str, str]) -> None:
        self._arguments = shlex.split(command)
        self._folder = folder
        self._environment = dict(environment)

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(  # noqa: S603  # the command of a client.toml
            self._arguments,
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def ask(self, do: str, **arguments: Any) -> Any:
        """The answer to a request.

        Raises:
            ServerFailed: if the driver ended, or answered with an error.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        overdue = threading.Timer(2 * WAIT_SECONDS, self._process.kill)
        overdue.start()
        try:
            self._process.stdin.write(json.dumps({"id": 1, "do": do, **arguments}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            overdue.cancel()
        ended = f"it ended, or did not answer within {2 * WAIT_SECONDS:g} s"
        answer = json.loads(line) if line else {"error": ended}
        if "ok" not in answer:
            raise ServerFailed(f"the driver {self._arguments[0]} at {do}: {answer['error']}")
        return answer["ok"]


def reconnect_seconds(command: str, folder: Path, environment: Mapping[str, str]) -> float:
    """Seconds from the moment that a killed server serves again until the driver's watcher has the
    first event after the kill.

    Args:
        command, folder, environment: of the driver.
    """
    with tempfile.TemporaryDirectory() as place, Driver(command, folder, environment) as driver:
        config = Path(place) / "server.toml"
        config.write_text(CONFIG)
        server = ServerProcess(Path(place), config)
        with server:
            spec = {"targets": ["neuron:0"], "space": {"kind": "normal", "dimension": 2}}
            driver.ask("connect", target=server.address)
            driver.ask("create_study", study_id="watched", spec=spec)
            driver.ask("watch_start", study_id="watched", watch="w")
            driver.ask("watch_next", watch="w", count=1, timeout_s=WAIT_SECONDS)
            server.kill()
        with server:
            serves = time.perf_counter()
            with connect(server.address) as client:
                client.study("watched").pause()
            seen = driver.ask("watch_next", watch="w", count=1, timeout_s=WAIT_SECONDS)
            took = time.perf_counter() - serves
    if not seen["events"]:
        raise ServerFailed(f"the watcher did not come back within {WAIT_SECONDS:.0f} s")
    return took
