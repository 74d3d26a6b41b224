"""The servers of a run: a real one that is killed and started again, and fake ones."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

from blackbox_am.service.auth.principals import role_of
from blackbox_am.service.auth.tokens import issue
from blackbox_am.stores import SQLStore
from blackbox_am.testing.server import ServerProcess
from clients.conformance import fakes, tls

CONFIG = """
[server]
shipped = false
device = "cpu"
retry_delays = [0.2, 0.5, 1.0, 2.0]

[generators.tiny]
kind = "pixels"
shape = [3, 4, 4]

[generators.large]
kind = "pixels"
shape = [3, 400, 400]

[oracles.sim]
kind = "simulated"
stimulus_shape = [3, 4, 4]

[oracles.slow]
kind = "simulated"
stimulus_shape = [3, 4, 4]
latency_seconds = 0.05

[oracles.wide]
kind = "simulated"
stimulus_shape = [3, 600, 600]
units = 2
batch_size = 4

[oracles.driver]
kind = "remote"
target = "{oracle}"
timeout_seconds = 10.0
"""
"""The real server's configuration. `driver` is the oracle that the driver serves."""

SECURED = """
[server]
shipped = false
device = "cpu"
tls_certificate = "{}"
tls_key = "{}"
tls_client_ca = "{}"
"""
"""The configuration of the server `secured`."""


class Servers:
    """Servers by name; each starts when it is first needed, on a port that it finds itself."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._main: ServerProcess | None = None
        self._running = False
        self._addresses: dict[str, str] = {}
        self._tokens: dict[str, str] = {}

    def __enter__(self) -> Self:
        self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        return self

    def __exit__(self, *_: object) -> None:
        if self._main is not None and self._running:
            self._main.stop()
        self._stack.close()

    def address(self, name: str) -> str:
        """The address of a server: `main`, `secured` (a real one with tokens, TLS and certificates
        of clients), a name of `fakes.FAKES`, or `nowhere`.
        """
        if name == "main":
            self.start()
            assert self._main is not None
            return self._main.address
        if name not in self._addresses:
            if name == "nowhere":
                self._addresses[name] = self._stack.enter_context(_silent_port())
            elif name == "secured":
                self._addresses[name] = self._stack.enter_context(self._secured()).address
            else:
                self._addresses[name] = self._stack.enter_context(fakes.serving(name))
        return self._addresses[name]

    def token(self, role: str) -> str:
        """A token of the server `secured`."""
        self.address("secured")
        return self._tokens[role]

    def _secured(self) -> ServerProcess:
        folder = self._folder / "secured"
        folder.mkdir()
        config = folder / "models.toml"
        files = [tls.file(word) for word in ("server_certificate", "server_key", "certificate")]
        config.write_text(SECURED.format(*files))
        store = SQLStore(str(folder / ServerProcess.STORE))
        try:
            for role in ("reader", "runner"):
                _, self._tokens[role] = issue(store.tokens, role, role_of(role), None)
        finally:
            store.close()
        return ServerProcess(folder, config)

    def start(self, oracle: str = "") -> None:
        """Starts the real server, or starts it again on its store and address.

        Args:
            oracle: address of the oracle `driver`; by default nobody answers there.
        """
        if self._running:
            return
        config = self._folder / "models.toml"
        config.write_text(CONFIG.format(oracle=oracle or self.address("nowhere")))
        if self._main is None:
            self._main = ServerProcess(self._folder, config)
        self._main.__enter__()
        self._running = True

    def kill(self) -> None:
        """Ends the real server with SIGKILL."""
        self._end(lambda server: server.kill())

    def stop(self) -> None:
        """Ends the real server with SIGTERM."""
        self._end(lambda server: server.stop())

    def tail(self) -> str:
        """The last lines of the real server's output."""
        return "" if self._main is None else self._main.tail()

    def _end(self, how: Callable[[ServerProcess], object]) -> None:
        self.start()
        assert self._main is not None
        how(self._main)
        self._running = False


@contextmanager
def _silent_port() -> Iterator[str]:
    """The address of a port that is held, so that connections to it are refused."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{held.getsockname()[1]}"
