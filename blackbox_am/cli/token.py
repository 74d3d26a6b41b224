"""`blackbox-am token ...`: who may call the servers of a store."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from blackbox_am.cli.console import err, out, plain, print_json
from blackbox_am.cli.options import AsJson
from blackbox_am.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from blackbox_am.core.store import Store

app = typer.Typer(
    no_args_is_help=True,
    help="Make, list and revoke the tokens of callers.\n\n"
    "The tokens are in the store of the server, so these commands run on its machine. From the "
    "first token on, every call to a server of this store needs a token.",
)

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}

Config = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="TOML file of the server, which has its store."),
]
StoreOption = Annotated[
    str | None, typer.Option("--store", help="SQLite file or PostgreSQL URL of the server's store.")
]


@app.command()
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the caller, such as ann.")],
    role: Annotated[
        str,
        typer.Option(
            "--role",
            metavar="reader|runner|operator",
            help="reader: sees its own studies; runner: also creates and runs them; operator: "
            "sees and controls the studies of all.",
        ),
    ] = "runner",
    expires: Annotated[
        str | None,
        typer.Option("--expires", metavar="DURATION", help="Such as 12h, 30d or 8w; else never."),
    ] = None,
    store: StoreOption = None,
    config: Config = None,
) -> None:
    """Make a token and print it, once: nobody can read the token again.

    A caller can have several tokens; make a new one before you revoke the old one. Save the token
    in a file that only its owner can read:

        (umask 077; blackbox-am token create ann --role runner > token)

        blackbox-am study list --token-file token
    """
    from blackbox_am.service.auth.principals import role_of
    from blackbox_am.service.auth.tokens import issue

    chosen, seconds = role_of(role), None if expires is None else _seconds(expires)
    with _opened(store, config) as opened:
        token_id, token = issue(opened.tokens, name, chosen, seconds)
    plain(token)
    until = "" if seconds is None else f", valid until {_date(time.time() + seconds)}"
    err.print(
        f"token {token_id} of {name}, role {role}{until}; it is printed only now",
        markup=False,
        highlight=False,
    )


@app.command("list")
def list_(store: StoreOption = None, config: Config = None, as_json: AsJson = False) -> None:
    """List the tokens: whose they are, what they allow, and whether they are valid."""
    with _opened(store, config) as opened:
        found = opened.tokens.known()
    now = time.time()
    rows = [
        {
            "token": one.token_id,
            "principal": one.principal,
            "role": one.role,
            "state": one.state(now),
            "created": _date(one.created_at),
            "expires": "" if one.expires_at is None else _date(one.expires_at),
        }
        for one in found
    ]
    if as_json:
        print_json(rows)
        return
    table = Table(*(rows[0] if rows else ("token", "principal", "role", "state")))
    for row in rows:
        table.add_row(*row.values())
    out.print(table)


@app.command()
def revoke(
    name: Annotated[
        str, typer.Argument(metavar="TOKEN|NAME", help="One token by its id, or all of a caller.")
    ],
    store: StoreOption = None,
    config: Config = None,
) -> None:
    """Revoke a token, or all tokens of a caller. Servers refuse it within about a second, and end
    its streams.
    """
    with _opened(store, config) as opened:
        revoked = opened.tokens.revoke(name, time.time())
    if not revoked:
        raise NotFound(
            f"there is no valid token and no caller {name[:80]!r}; see `blackbox-am token list`"
        )
    for token_id in revoked:
        plain(f"revoked {token_id}")


@contextmanager
def _opened(store: str | None, config: Path | None) -> Iterator[Store]:
    from blackbox_am.service.config import DEFAULT_STORE, load_config
    from blackbox_am.stores import SQLStore

    url = store or (DEFAULT_STORE if config is None else load_config(config).store)
    opened = SQLStore(url)
    try:
        yield opened
    finally:
        opened.close()


def _seconds(text: str) -> float:
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([smhdw])", text)
    if found is None:
        raise InvalidInput(f"--expires {text}: expected a number and a unit, such as 12h, 30d, 8w")
    return float(found[1]) * _SECONDS[found[2]]


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
