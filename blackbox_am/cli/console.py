"""Output of the command line: results on `out` (stdout), messages on `err` (stderr)."""

from __future__ import annotations

import os
from typing import Any

import msgspec
from rich.console import Console, ConsoleDimensions

PIPED = 1000
"""Columns of a table that goes to a file or to another program, unless COLUMNS is set."""


class _Output(Console):
    """A console that cuts nothing where no terminal limits the width."""

    @property  # type: ignore[misc]  # nobody sets the size of this console
    def size(self) -> ConsoleDimensions:
        found = super().size
        if self.is_terminal:
            return found
        columns = os.environ.get("COLUMNS", "")
        return ConsoleDimensions(int(columns) if columns.isdigit() else PIPED, found.height)


out = _Output()
err = Console(stderr=True)


def plain(text: str) -> None:
    """Print a line on stdout for other programs, without colours and without wrapping."""
    out.print(text, markup=False, highlight=False, soft_wrap=True)


def print_json(value: Any) -> None:
    """Print a value on stdout as one line of JSON; nan and infinity are null."""
    plain(msgspec.json.encode(value).decode())


def complain(message: str) -> None:
    """Print an error on stderr; brackets in `message` are not interpreted as markup."""
    err.print("[bold red]error:[/] ", end="")
    err.print(message, markup=False, highlight=False, soft_wrap=True)


def note(message: str) -> None:
    """Print a note on stderr, in one line."""
    err.print(f"note: {message}", markup=False, highlight=False, soft_wrap=True)


def wrote(what: object) -> None:
    """Say on stderr which file or folder was written, in one line, so that it can be copied."""
    err.print(f"wrote {what}", markup=False, highlight=False, soft_wrap=True)
