"""`blackbox-am dashboard`: a web page for a server."""

from __future__ import annotations

import logging
import os
import secrets
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from blackbox_am.cli import options
from blackbox_am.cli.connecting import access, read_token, secured
from blackbox_am.cli.console import err
from blackbox_am.cli.options import DEFAULT_SERVER
from blackbox_am.cli.serve import write_at_once
from blackbox_am.errors import InvalidInput, MissingExtra

TOKEN_BYTES = 24


@secured
def dashboard(
    server: options.Server = DEFAULT_SERVER,
    port: Annotated[
        int, typer.Option("--port", help="Port of the page; 0 selects a free port.")
    ] = 8642,
    host: Annotated[
        str, typer.Option("--host", help="Address to listen on; only this machine reaches it.")
    ] = "127.0.0.1",
    allow_changes: Annotated[
        bool,
        typer.Option(
            "--allow-changes",
            help="Let the page create, pause, extend and cancel studies, with a token.",
        ),
    ] = False,
    changes_token_file: Annotated[
        Path | None,
        typer.Option(
            "--changes-token-file",
            help="File with the token for changes; a new one is written if the file is missing. "
            "Without this option a token is made and printed.",
        ),
    ] = None,
    insecure_host: Annotated[
        bool,
        typer.Option(
            "--insecure-host",
            help="Allow a --host that other machines reach. There is no encryption, and everybody "
            "who reaches the page sees every study.",
        ),
    ] = False,
    allowed_host: Annotated[
        list[str] | None,
        typer.Option(
            "--allowed-host",
            help="A further name under which browsers address the page, such as that of a proxy. "
            "Repeatable.",
        ),
    ] = None,
    open_it: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    ready_file: Annotated[
        Path | None,
        typer.Option("--ready-file", help="Write the URL to this file when the page is ready."),
    ] = None,
) -> None:
    """Show a server's studies in a browser: live curves, best stimuli, comparisons, oracles.

    The page runs in its own process, which needs no torch. It only shows studies; with
    --allow-changes it also creates and steers them. It waits for a server that is away. Ctrl-C
    stops the page, and no study.

    For example:

        blackbox-am serve &
        blackbox-am dashboard --open
    """
    try:
        from blackbox_am import gateway
    except ModuleNotFoundError as error:
        raise MissingExtra.of(str(error.name), "dashboard") from error
    settings = gateway.Settings(
        server,
        host,
        port,
        _changes_token(changes_token_file) if allow_changes else None,
        insecure_host,
        tuple(allowed_host or ()),
        server_token=access().token,
        server_tls=access().encryption,
    )
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")

    def ready(url: str) -> None:
        err.print(f"the dashboard of {server} is at {url}", markup=False, highlight=False)
        if settings.token is not None and changes_token_file is None:
            err.print(f"token for changes: {settings.token}", markup=False, highlight=False)
        err.print("stop with Ctrl-C", markup=False, highlight=False)
        if ready_file is not None:
            write_at_once(ready_file, url)
        if open_it:
            webbrowser.open(url)

    gateway.serve(settings, ready)


def _changes_token(file: Path | None) -> str:
    """The token in a file, or a new one, which is written to the file if one is named.

    Raises:
        InvalidInput: if the file cannot be read or written, or is empty.
    """
    if file is None:
        return secrets.token_urlsafe(TOKEN_BYTES)
    if file.exists():
        return read_token(file, "--changes-token-file")
    token = secrets.token_urlsafe(TOKEN_BYTES)
    try:
        number = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(number, "w", encoding="utf-8") as sink:
            sink.write(token + "\n")
    except OSError as error:
        raise InvalidInput(
            f"--changes-token-file {file}: the file cannot be written ({error.strerror})",
            field="changes_token_file",
        ) from error
    return token
