"""Progress of a comparison: which of its studies runs, and how far it is."""

from __future__ import annotations

from rich.console import Console, Group
from rich.text import Text

from blackbox_am.cli.progress import Meter, ShownView, gauge, wanted
from blackbox_am.core.types import StudyProgress


class CompareView(ShownView):
    """A comparison on a console: `with CompareView(err) as view: view.show(stage, progress)`."""

    def __init__(self, console: Console) -> None:
        super().__init__(console, keep=False)
        self._stage = ""

    def show(self, stage: str, progress: StudyProgress) -> None:
        """Show `progress` of the study of a stage, such as `2 of 21: adam, seed 0`."""
        if stage != self._stage:
            self._stage, self._meter = stage, Meter()
        self._meter.add(progress.search_rows)
        rate, all_rows = self._meter.rate, wanted(progress)
        view = Group(
            Text.assemble((stage, "bold"), (f"  {progress.optimizer}", "dim")),
            gauge(progress.search_rows, all_rows, rate),
        )
        line = f"{stage}: {progress.search_rows:,} of {all_rows:,} rows, {rate:,.0f} rows/s"
        self._view.show(view, line, last=not progress.state.active)
