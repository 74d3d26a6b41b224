"""Deliberate errors, as a command line tells them: one line, and an exit code."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from blackbox_am.cli.console import err
from blackbox_am.errors import (
    BlackboxError,
    Conflict,
    InvalidInput,
    NotFound,
    OracleError,
    ServerUnavailable,
    StoreError,
    Unsupported,
)

INTERRUPTED = 130

_CODES: tuple[tuple[type[BlackboxError], int], ...] = (
    (InvalidInput, 2),
    (Unsupported, 2),
    (NotFound, 3),
    (Conflict, 3),
    (OracleError, 4),
    (StoreError, 5),
    (ServerUnavailable, 6),
)

EXIT_CODES = """\
Exit codes: 0 done; 1 something else failed; 2 the request is wrong or not supported; \
3 not found, or clashes with what is there; 4 the model failed; 5 the store failed; \
6 the server cannot be reached; 130 stopped with Ctrl-C."""


def exit_code(error: BlackboxError) -> int:
    """The exit code that stands for `error`, 1 where none does."""
    for kind, code in _CODES:
        if isinstance(error, kind):
            return code
    return 1


def complain(message: str) -> None:
    """One red line on stderr, whatever brackets `message` has in it."""
    err.print("[bold red]error:[/] ", end="")
    err.print(message, markup=False, highlight=False, soft_wrap=True)


class Group(TyperGroup):
    """Commands whose deliberate errors become one line and an exit code.

    With ``--debug`` they go through as they are, traceback and all.
    """

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except BlackboxError as error:
            if ctx.find_root().params.get("debug"):
                raise
            complain(error.message)
            raise typer.Exit(exit_code(error)) from error
