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
    StoreError,
    Unsupported,
)

INTERRUPTED = 130
SERVER_UNAVAILABLE = 6

_CODES: tuple[tuple[type[BlackboxError], int], ...] = (
    (InvalidInput, 2),
    (Unsupported, 2),
    (NotFound, 3),
    (Conflict, 3),
    (OracleError, 4),
    (StoreError, 5),
)

EXIT_CODES = """\
Exit codes: 0 done; 1 something else failed; 2 the request is wrong or not supported; \
3 not found, or clashes with what is there; 4 the model failed; 5 the store failed; \
6 the server cannot be reached; 130 stopped with Ctrl-C."""


class Failure(Exception):  # noqa: N818  # it is how a command ends, not an error of the library
    """Ends a command with a sentence and an exit code of its own.

    Attributes:
        message: the sentence.
        code: the exit code.
    """

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.message = message
        self.code = code


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
        except (BlackboxError, Failure) as error:
            if ctx.find_root().params.get("debug"):
                raise
            complain(error.message)
            code = error.code if isinstance(error, Failure) else exit_code(error)
            raise typer.Exit(code) from error
