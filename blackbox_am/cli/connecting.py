"""Options of all commands that call a server: the token, and encryption.

A command with the decorator `secured` has these options, and its `connect` obeys them. The token
stands in a file or in the environment, never on the command line, which other users can read.
"""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from blackbox_am.core.certificates import Tls
from blackbox_am.errors import InvalidInput

if TYPE_CHECKING:
    from blackbox_am.client import Client

TOKEN = "BLACKBOX_AM_TOKEN"  # noqa: S105  # the name of a variable
_PANEL = "Token and encryption"

F = TypeVar("F", bound=Callable[..., Any])


def _option(name: str, help_text: str) -> Any:
    variable = "BLACKBOX_AM_" + name.upper().replace("-", "_")
    return typer.Option(f"--{name}", envvar=variable, help=help_text, rich_help_panel=_PANEL)


_OPTIONS: dict[str, tuple[Any, Any]] = {
    "token_file": (
        Annotated[
            Path | None,
            _option("token-file", f"File with the token; else the environment's {TOKEN}."),
        ],
        None,
    ),
    "tls": (Annotated[bool, _option("tls", "Encrypt the connection.")], False),
    "tls_ca": (
        Annotated[
            Path | None,
            _option(
                "tls-ca", "Authorities to trust (PEM) instead of the public ones; means --tls."
            ),
        ],
        None,
    ),
    "tls_certificate": (
        Annotated[Path | None, _option("tls-certificate", "This client's certificate (PEM).")],
        None,
    ),
    "tls_key": (Annotated[Path | None, _option("tls-key", "The key of --tls-certificate.")], None),
    "tls_server_name": (
        Annotated[
            str | None,
            _option("tls-server-name", "Name in the server's certificate, if it has another."),
        ],
        None,
    ),
}


@dataclass(frozen=True)
class Access:
    """What the options say. The attributes are those of the options.

    Raises:
        InvalidInput: if the options do not fit together.
    """

    token_file: Path | None = None
    tls: bool = False
    tls_ca: Path | None = None
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    tls_server_name: str | None = None

    @property
    def encryption(self) -> Tls | None:
        """How the connection is encrypted; None for not at all."""
        if not (self.tls or self.tls_ca or self.tls_certificate or self.tls_key):
            if self.tls_server_name:
                raise InvalidInput("--tls-server-name: means nothing without TLS; add --tls")
            return None
        files = (self.tls_ca, self.tls_certificate, self.tls_key)
        ca, certificate, key = ("" if file is None else str(file) for file in files)
        return Tls(ca, certificate, key, self.tls_server_name or "")

    @property
    def token(self) -> str | None:
        """The token; None if there is none.

        Raises:
            InvalidInput: if the file cannot be read, or is empty.
        """
        if self.token_file is None:
            return os.environ.get(TOKEN, "").strip() or None
        return read_token(self.token_file, "--token-file")

    def of_oracle(self) -> dict[str, Any]:
        """The same as fields of the oracle `remote`, with the token by reference."""
        tls, fields = self.encryption, dict[str, Any]()
        if tls is not None:
            fields = {"tls": True, "ca_file": tls.ca_file, "server_name": tls.server_name}
            fields |= {"certificate_file": tls.certificate_file, "key_file": tls.key_file}
        if self.token is not None:
            file = self.token_file
            place = TOKEN if file is None else f"file:{file.absolute()}"
            fields["headers"] = {"authorization": f"Bearer ${{{place}}}"}
        return fields


def read_token(file: Path, option: str) -> str:
    """The token in the file of an option.

    Raises:
        InvalidInput: if the file cannot be read, or is empty.
    """
    try:
        found = file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{option} {file}: the file cannot be read ({error})") from error
    if not found:
        raise InvalidInput(f"{option} {file}: the file is empty")
    return found


_NONE = Access()
_ACCESS: ContextVar[Access] = ContextVar("access", default=_NONE)


def access() -> Access:
    """What the options of the current command say."""
    return _ACCESS.get()


def connect(server: str) -> Client:
    """A client of a server, with the token and the encryption of the current command's options.

    Raises:
        BlackboxError: as `client.connect`.
    """
    from blackbox_am.client import connect as connected

    chosen = access()
    return connected(server, token=chosen.token, tls=chosen.encryption or False)


def secured(command: F) -> F:
    """Adds the options to a command."""

    @functools.wraps(command)
    def with_access(*args: Any, **kwargs: Any) -> Any:
        mine = {name: kwargs.pop(name, default) for name, (_, default) in _OPTIONS.items()}
        before = _ACCESS.set(Access(**mine))
        try:
            return command(*args, **kwargs)
        finally:
            _ACCESS.reset(before)

    kind = inspect.Parameter.KEYWORD_ONLY
    more = [
        inspect.Parameter(name, kind, default=default, annotation=annotation)
        for name, (annotation, default) in _OPTIONS.items()
    ]
    signature = inspect.signature(command, eval_str=True)
    every = [*signature.parameters.values(), *more]
    with_access.__signature__ = signature.replace(parameters=every)  # type: ignore[attr-defined]
    with_access.__annotations__ = {p.name: p.annotation for p in every}
    return with_access  # type: ignore[return-value]
