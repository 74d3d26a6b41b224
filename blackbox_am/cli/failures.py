"""Error messages and exit codes of the command line."""

from __future__ import annotations

import shlex
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from blackbox_am.cli.console import complain, err
from blackbox_am.errors import (
    BlackboxError,
    Conflict,
    Denied,
    InvalidInput,
    NotFound,
    OracleError,
    ServerUnavailable,
    StoreError,
    Unsupported,
)

CANCELLED = 8
INTERRUPTED = 130

_CODES: tuple[tuple[type[BlackboxError], int], ...] = (
    (InvalidInput, 2),
    (Unsupported, 2),
    (NotFound, 3),
    (Conflict, 3),
    (OracleError, 4),
    (StoreError, 5),
    (ServerUnavailable, 6),
    (Denied, 7),
)

EXIT_CODES = """\
Exit codes: 0 success; 1 another failure; 2 the request is wrong or not supported; \
3 not found, or in conflict with existing data; 4 the model failed; 5 the store failed; \
6 the server cannot be reached; 7 access denied, or a quota used up; \
8 the watched study was cancelled; 130 stopped with Ctrl-C."""


def interrupted(also: str = "") -> typer.Exit:
    """The exit after Ctrl-C of a command that continues its work if it is repeated. Prints how.

    Args:
        also: what else to say, behind "nothing is lost".
    """
    err.print(
        f"\nStopped; nothing is lost{also}. Go on with: "
        + shlex.join(["blackbox-am", *sys.argv[1:]]),
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
    return typer.Exit(INTERRUPTED)


def exit_code(error: BlackboxError) -> int:
    """The exit code of `error`; 1 if its class has none."""
    for kind, code in _CODES:
        if isinstance(error, kind):
            return code
    return 1


class Group(TyperGroup):
    """A group of commands that reports a `BlackboxError` as one line and an exit code.

    With ``--debug`` the error is raised, so that Python prints its traceback.
    """

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """As of typer; a name in other letters, such as `RUN`, is suggested too."""
        lowered = {name.lower(): name for name in self.commands}
        if args and args[0] not in self.commands and args[0].lower() in lowered:
            known = lowered[args[0].lower()]
            ctx.fail(f"No such command {args[0]!r}. Did you mean {known!r}?")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except BlackboxError as error:
            if ctx.find_root().params.get("debug"):
                raise
            complain(error.message)
            raise typer.Exit(exit_code(error)) from error
