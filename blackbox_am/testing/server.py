"""A real server in a separate process, for tests, benchmarks and the demo."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import ClassVar, Self

from blackbox_am.errors import ServerUnavailable

START_SECONDS = 90.0
STOP_SECONDS = 20.0


class ServerProcess:
    """`blackbox-am serve` on a free port inside the context, with its store in a folder.

    A server that starts again on the same folder continues the studies of its store.

    Args:
        folder: folder of the store and the log.
        config: a TOML file with a catalogue; the shipped models if None.
        address: where to listen; a free port of this machine where it ends in `:0`.
        store: the store of another server, to share it; by default a file in the folder.

    Attributes:
        address: host:port of the server.
        log: file of the server's output.
        process: the server's process.
    """

    STORE: ClassVar[str] = "studies.sqlite3"
    popen: ClassVar[type[subprocess.Popen[bytes]]] = subprocess.Popen
    """What starts the process. Tests start it in a way that imports nothing again."""

    def __init__(
        self,
        folder: Path,
        config: Path | None = None,
        *,
        store: str = "",
        address: str = "127.0.0.1:0",
    ) -> None:
        self.address = address
        self.log = folder / "server.log"
        self._folder = folder
        self._config = config
        self._store = store or str(folder / self.STORE)

    def __enter__(self) -> Self:
        ready = self._folder / "address"
        ready.unlink(missing_ok=True)
        command = [sys.executable, "-m", "blackbox_am.cli", "serve", "--address", self.address]
        command += ["--store", self._store, "--ready-file", str(ready)]
        if self._config is not None:
            command += ["--config", str(self._config)]
        with self.log.open("ab") as sink:
            self.process = self.popen(
                command,
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # the caller handles Ctrl-C and stops the server
            )
        try:
            self.address = self._await(ready)
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> int:
        """End the server with SIGTERM, later with SIGKILL; returns its exit code."""
        self.process.terminate()
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            return self.kill()

    def kill(self) -> int:
        """End the server with SIGKILL; returns its exit code."""
        self.process.kill()
        return self.process.wait()

    def tail(self, lines: int = 15) -> str:
        """The last lines of the server's output."""
        return "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-lines:])

    def _await(self, ready: Path) -> str:
        deadline = time.monotonic() + START_SECONDS
        while self.process.poll() is None and time.monotonic() < deadline:
            if ready.exists() and (address := ready.read_text("utf-8").strip()):
                return address
            time.sleep(0.02)
        ended = self.process.poll()
        what = f"took over {START_SECONDS:.0f} s" if ended is None else f"ended with code {ended}"
        raise ServerUnavailable(f"the server {what}; its output ends with:\n{self.tail()}")
