"""Serving a gateway until a signal stops it."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
from starlette.applications import Starlette

from blackbox_am.errors import Conflict
from blackbox_am.gateway.app import create_app
from blackbox_am.gateway.settings import Settings

BACKLOG = 128
GRACE_SECONDS = 1
"""Seconds that open streams have to end after a signal; they never end by themselves."""
KEEP_ALIVE_SECONDS = 30


def serve(settings: Settings, ready: Callable[[str], None] = lambda url: None) -> None:
    """Serves until SIGTERM or SIGINT. Must be called on the main thread.

    Args:
        settings: of the gateway.
        ready: called with the URL when the gateway listens.

    Raises:
        Conflict: if the address cannot be listened on.
    """
    listening = _bound(settings)
    app = create_app(settings)
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        loop="asyncio",
        http="h11",
        ws="none",
        timeout_graceful_shutdown=GRACE_SECONDS,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
    )
    server = _Server(config, app, lambda: ready(url_of(settings, listening)))
    with listening:
        asyncio.run(server.serve([listening]))


def url_of(settings: Settings, listening: socket.socket) -> str:
    """The URL of a gateway that listens."""
    port = listening.getsockname()[1]
    host = settings.host.strip("[]")
    if host in ("0.0.0.0", "::"):  # noqa: S104  # what the operator asked for
        host = "127.0.0.1"
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


class _Server(uvicorn.Server):
    """A server that tells when it listens, and ends the open streams before it stops."""

    def __init__(self, config: uvicorn.Config, app: Starlette, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._app = app
        self._ready = ready

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """See `uvicorn.Server.capture_signals`, which would raise the signal again at the end."""
        loop, numbers = asyncio.get_running_loop(), (signal.SIGTERM, signal.SIGINT)
        for number in numbers:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """See `uvicorn.Server.startup`."""
        await super().startup(sockets)
        if self.started:
            self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """See `uvicorn.Server.shutdown`."""
        self._app.state.gateway.hub.close()
        await super().shutdown(sockets)


def _bound(settings: Settings) -> socket.socket:
    host = settings.host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, settings.port))
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise Conflict(
            f"cannot listen on {settings.host}:{settings.port}: {error.strerror or error}; choose "
            "another port with --port, or --port 0 for any free port",
            field="port",
        ) from error
    return listening
