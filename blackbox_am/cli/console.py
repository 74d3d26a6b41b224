"""Output of the command line: results on `out` (stdout), messages on `err` (stderr)."""

from __future__ import annotations

from rich.console import Console

out = Console()
err = Console(stderr=True)


def plain(text: str) -> None:
    """Print a line on stdout for other programs, without colours and without wrapping."""
    out.print(text, markup=False, highlight=False, soft_wrap=True)


def complain(message: str) -> None:
    """Print an error on stderr; brackets in `message` are not interpreted as markup."""
    err.print("[bold red]error:[/] ", end="")
    err.print(message, markup=False, highlight=False, soft_wrap=True)


def wrote(what: object) -> None:
    """Say on stderr which file or folder was written, in one line, so that it can be copied."""
    err.print(f"wrote {what}", markup=False, highlight=False, soft_wrap=True)
