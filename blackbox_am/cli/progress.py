"""Progress of running studies: redrawn in a terminal, printed as log lines elsewhere."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from blackbox_am.core.natural import in_words
from blackbox_am.core.types import (
    Accounting,
    Purpose,
    Recheck,
    StudyProgress,
    StudyState,
    TargetProgress,
)

_WINDOW = 8.0
_SHOWN_TARGETS = 16

_COLOURS = {
    StudyState.PENDING: "yellow",
    StudyState.RUNNING: "cyan",
    StudyState.PAUSED: "yellow",
    StudyState.SUCCEEDED: "green",
    StudyState.FAILED: "red",
    StudyState.CANCELLED: "magenta",
    StudyState.UNKNOWN: "dim",
}

_PURPOSES = {
    Purpose.PROBE: "to test whether it repeats its answers",
    Purpose.BASELINE: "of natural images",
    Purpose.RECHECK: "to measure the best again",
    Purpose.CLEAN: "of clean inputs",
    Purpose.VERIFY: "to verify results",
    Purpose.SURPLUS: "beside a success",
}


class Meter:
    """Queries a second, over the last few seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: deque[tuple[float, int]] = deque()

    def add(self, rows: int) -> None:
        """Record the total number of queries so far."""
        now = self._clock()
        self._seen.append((now, rows))
        while len(self._seen) > 2 and now - self._seen[0][0] > _WINDOW:
            self._seen.popleft()

    @property
    def rate(self) -> float:
        """Queries a second; 0 until two counts are recorded."""
        if len(self._seen) < 2:
            return 0.0
        (start, before), (end, after) = self._seen[0], self._seen[-1]
        return (after - before) / (end - start) if end > start else 0.0


def wanted(progress: StudyProgress) -> int:
    """Total queries of the study if its targets use up their budget."""
    return sum(
        target.queries if target.finished else progress.queries_per_target
        for target in progress.targets
    )


def state_text(state: StudyState) -> Text:
    """The state's name in its colour."""
    return Text(state.value, style=f"bold {_COLOURS[state]}")


def gauge(done: int, total: int, rate: float) -> Table:
    """A progress bar with queries, queries a second and the remaining time."""
    left = f"ETA {_minutes((total - done) / rate)}" if rate > 0 and done < total else ""
    grid = Table.grid(padding=(0, 2))
    grid.add_row(
        ProgressBar(
            total=max(total, 1), completed=min(done, total), width=32, complete_style="cyan"
        ),
        f"{done:,} / {total:,} queries",
        f"{rate:,.0f} queries/s" if rate > 0 else "",
        left,
    )
    return grid


def score_text(score: float | None) -> str:
    """A score for a table; a dash if nothing was measured."""
    return "-" if score is None else f"{score:,.4g}"


def recheck_text(recheck: Recheck) -> str:
    """A score that was measured again: value, standard error, rows and source."""
    found = recheck.best
    error = "" if found.standard_error is None else f" ± {found.standard_error:.2g}"
    return f"{found.mean:,.4g}{error} ({found.rows} rows, {recheck.source})"


def target_table(progress: StudyProgress) -> Table:
    """A table of the targets; of many targets only the first are shown."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("target", no_wrap=True)
    table.add_column("queries", justify="right")
    table.add_column("best score", justify="right", style="bold")
    compared = any(target.natural is not None for target in progress.targets)
    if compared:
        table.add_column("compared", no_wrap=True)
    table.add_column("")
    for target in progress.targets[:_SHOWN_TARGETS]:
        table.add_row(
            Text(target.title),
            f"{target.queries:,}",
            recheck_text(target.recheck) if target.recheck else score_text(target.best_score),
            *([in_words(target.natural) if target.natural else ""] if compared else []),
            _ending(target),
        )
    hidden = len(progress.targets) - _SHOWN_TARGETS
    if hidden > 0:
        table.add_row(Text(f"... and {hidden:,} more", style="dim"))
    return table


def study_view(progress: StudyProgress, rate: float) -> RenderableType:
    """The full view of one study's progress."""
    head = Text.assemble(
        (progress.study_id, "bold"),
        "  ",
        state_text(progress.state),
        f"  gen {progress.generation}",
        (f"  {progress.optimizer}", "dim"),
    )
    parts: list[RenderableType] = [
        head,
        gauge(progress.search_rows, wanted(progress), rate),
        target_table(progress),
    ]
    if progress.warning:
        parts.append(Text(progress.warning, style="dim"))
    if progress.spent.calls or progress.spent.cache_hits:
        parts.append(Text(spent_text(progress.spent), style="dim"))
    if progress.message:
        parts.append(Text(progress.message, style="yellow"))
    return Group(*parts)


def spent_text(spent: Accounting) -> str:
    """The oracle's accounting in one line."""
    text = f"oracle: {spent.rows:,} rows in {spent.calls:,} calls"
    apart = [(getattr(spent, purpose.value), _PURPOSES[purpose]) for purpose in Purpose]
    counted = [f"{rows:,} {name}" for rows, name in apart if rows]
    if counted:
        text += f" ({', '.join(counted)})"
    if spent.backward_rows:
        text += f", and {spent.backward_rows:,} rows backward"
    if spent.retries:
        text += f", of these {spent.retries:,} retries with {spent.retried_rows:,} rows"
    if spent.cache_hits:
        text += f"; {spent.cache_hits:,} rows from the cache"
    if spent.cost:
        text += f"; cost {spent.cost:,.10g}"
    return text


def study_line(progress: StudyProgress, rate: float) -> str:
    """One study's progress as a log line."""
    scores = [t.best_score for t in progress.targets if t.best_score is not None]
    best = f", best {max(scores):.4g}" if scores else ""
    return (
        f"{progress.study_id}: {progress.state.value}, {progress.search_rows:,} of "
        f"{wanted(progress):,} queries, {rate:,.0f} queries/s{best}"
    )


class LiveView:
    """A changing view on a console.

    A terminal redraws the view in place. Any other output gets a line at most every
    `line_seconds`, so that log files stay readable.

    Args:
        console: console that shows the view.
        keep: whether the last view stays on the terminal.
        line_seconds: shortest time between two lines, in seconds.
    """

    def __init__(self, console: Console, *, keep: bool = True, line_seconds: float = 5.0) -> None:
        self._console = console
        self._line_seconds = line_seconds
        self._last_line = -line_seconds
        self._live = (
            Live(console=console, refresh_per_second=8, transient=not keep)
            if console.is_terminal
            else None
        )

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, view: RenderableType, line: str, *, last: bool = False) -> None:
        """Draw `view` on a terminal; elsewhere print `line` if the last line is old enough."""
        if self._live is not None:
            self._live.update(view, refresh=last)
        elif last or time.monotonic() - self._last_line >= self._line_seconds:
            self._last_line = time.monotonic()
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)


class ShownView:
    """A view that is on a console inside the context.

    Args:
        console: console that shows the view.
        keep: whether the last view stays on the terminal.
    """

    def __init__(self, console: Console, *, keep: bool = True) -> None:
        self._view = LiveView(console, keep=keep)
        self._meter = Meter()

    def __enter__(self) -> Self:
        self._view.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._view.__exit__(kind, error, trace)


class StudyView(ShownView):
    """One study on a console: `with StudyView(out) as view: view.show(progress)`."""

    def show(self, progress: StudyProgress) -> None:
        """Show `progress`."""
        self._meter.add(progress.search_rows)
        rate = self._meter.rate
        self._view.show(
            study_view(progress, rate), study_line(progress, rate), last=not progress.state.active
        )


def _ending(target: TargetProgress) -> Text:
    return Text(target.stop_reason.value if target.finished else "", style="dim")


def _minutes(seconds: float) -> str:
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"
