"""What a benchmark says while it measures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn

console = Console(stderr=True, highlight=False)


def say(text: str) -> None:
    """Print what is measured next; an animated spinner would disturb the measurement."""
    console.print(text, style="dim")


@contextmanager
def progress_bar(steps: int) -> Iterator[Callable[[str], None]]:
    """Print a line for each of `steps` steps, above a progress bar on a terminal.

    The bar is redrawn only at these steps, so that nothing runs during a measurement.
    """
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, auto_refresh=False, transient=True) as bar:
        task = bar.add_task("", total=steps)

        def tell(text: str) -> None:
            console.print(text, style="dim")
            bar.update(task, advance=1, refresh=True)

        yield tell
