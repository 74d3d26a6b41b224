"""A real gateway in a separate process, for tests."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

from blackbox_am.errors import ServerUnavailable

START_SECONDS = 60.0
STOP_SECONDS = 10.0


class GatewayProcess:
    """`blackbox-am dashboard` on a free port inside the context.

    Args:
        folder: folder of the log.
        server: address of the server that it shows.
        options: further options of the command.

    Attributes:
        url: URL of the page, without the last slash.
        log: file of the output.
        process: the process.
    """

    def __init__(self, folder: Path, server: str, *options: str) -> None:
        self.url = ""
        self.log = folder / "gateway.log"
        self._ready = folder / "url"
        command = [sys.executable, "-m", "blackbox_am.cli", "dashboard", "--server", server]
        self._command = [*command, "--port", "0", "--ready-file", str(self._ready), *options]

    def __enter__(self) -> Self:
        self._ready.unlink(missing_ok=True)
        with self.log.open("ab") as sink:
            self.process = subprocess.Popen(  # noqa: S603  # our own command
                self._command,
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=os.environ | {"COLUMNS": "200"},
            )
        deadline = time.monotonic() + START_SECONDS
        while self.process.poll() is None and time.monotonic() < deadline:
            if self._ready.exists() and (url := self._ready.read_text("utf-8").strip()):
                self.url = url.rstrip("/")
                return self
            time.sleep(0.02)
        self.stop()
        raise ServerUnavailable(f"the dashboard did not start:\n{self.log.read_text('utf-8')}")

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> int:
        """Ends the gateway with SIGTERM, later with SIGKILL; returns its exit code."""
        self.process.terminate()
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()
