"""A real server in a process of its own: for tests, benchmarks and demonstrations."""

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
    """`blackbox-am serve` on a free port, with its store in a folder, while the context lasts.

    Started again on the same folder, it takes up the studies that it finds there.

    Args:
        folder: where the store and the log are kept.
        config: a TOML file with a catalogue; the shipped models where None.
        store: of another server, to share it; one in the folder where empty.

    Attributes:
        address: host:port.
        log: what the server said.
        process: the process.
    """

    STORE: ClassVar[str] = "studies.sqlite3"

    def __init__(self, folder: Path, config: Path | None = None, *, store: str = "") -> None:
        self.address = ""
        self.log = folder / "server.log"
        self._folder = folder
        self._config = config
        self._store = store or str(folder / self.STORE)

    def __enter__(self) -> Self:
        ready = self._folder / "address"
        ready.unlink(missing_ok=True)
        command = [sys.executable, "-m", "blackbox_am.cli", "serve", "--address", "127.0.0.1:0"]
        command += ["--store", self._store, "--ready-file", str(ready)]
        if self._config is not None:
            command += ["--config", str(self._config)]
        with self.log.open("ab") as sink:
            self.process = subprocess.Popen(  # noqa: S603  # our own command
                command,
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the caller, who stops it in its turn
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
        """Asks the server to end, as an operator would. Returns its exit code.

        One that does not end within `STOP_SECONDS` is killed.
        """
        self.process.terminate()
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            return self.kill()

    def kill(self) -> int:
        """Ends the server with SIGKILL. Returns its exit code."""
        self.process.kill()
        return self.process.wait()

    def tail(self, lines: int = 15) -> str:
        """The last of what the server said."""
        return "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-lines:])

    def _await(self, ready: Path) -> str:
        deadline = time.monotonic() + START_SECONDS
        while self.process.poll() is None and time.monotonic() < deadline:
            if ready.exists() and (address := ready.read_text("utf-8").strip()):
                return address
            time.sleep(0.02)
        ended = self.process.poll()
        what = f"took over {START_SECONDS:.0f} s" if ended is None else f"ended with code {ended}"
        raise ServerUnavailable(f"the server {what}; it said:\n{self.tail()}")
