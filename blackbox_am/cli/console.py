"""Where the command line writes: results to `out`, everything about them to `err`."""

from __future__ import annotations

from rich.console import Console

out = Console()
err = Console(stderr=True)


def plain(text: str) -> None:
    """A line on stdout for other programs to read: no colours, no wrapping."""
    out.print(text, markup=False, highlight=False, soft_wrap=True)
