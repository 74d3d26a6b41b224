"""Progress of a search in a notebook or a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from blackbox_am.core.types import StudyProgress

OnProgress = Callable[[StudyProgress], None]


def in_notebook() -> bool:
    """Whether a notebook shows the output of this process, so that HTML and figures are shown."""
    shell: Any = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return shell is not None and "IPKernelApp" in getattr(shell, "config", {})


def has_bar(wanted: bool | None) -> bool:
    """Whether `shown_while` shows a bar."""
    return in_notebook() if wanted is None else wanted


@contextmanager
def shown_while(
    wanted: bool | None, also: OnProgress = lambda progress: None
) -> Iterator[OnProgress]:
    """Shows the progress that the yielded function is called with, as a bar.

    Args:
        wanted: whether to show a bar; None shows it in a notebook.
        also: called with each progress too.
    """
    if not has_bar(wanted):
        yield also
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[best]}", markup=False),
    )
    with Progress(*columns) as bars:
        task = bars.add_task("", total=None, best="")

        def show(progress: StudyProgress) -> None:
            bars.update(
                task,
                description=progress.study_id,
                completed=progress.search_rows,
                total=_total(progress),
                best=_best(progress),
            )
            also(progress)

        yield show


def _total(progress: StudyProgress) -> int:
    """Queries of the study if its targets use up their budget."""
    return sum(
        target.queries if target.finished else progress.queries_per_target
        for target in progress.targets
    )


def _best(progress: StudyProgress) -> str:
    scores = [t.best_score for t in progress.targets if t.best_score is not None]
    if not scores:
        return ""
    text = f"best {max(scores):.4g}"
    return text if len(scores) == 1 else f"{text}, worst {min(scores):.4g} of {len(scores)} targets"
