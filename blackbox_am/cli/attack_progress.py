"""Progress of an attack: how many images are done, and at what cost."""

from __future__ import annotations

from rich.console import Console, Group
from rich.text import Text

from blackbox_am.cli.progress import Meter, ShownView, gauge, wanted
from blackbox_am.core.types import StopReason, StudyProgress

_STAGES = {
    "clean": "measuring the clean images",
    "search": "searching",
    "verify": "measuring again what was found",
    "repeat": "testing whether the model repeats its answers",
}


class AttackView(ShownView):
    """An attack on a console: `with AttackView(err) as view: view.show(stage, progress)`."""

    def __init__(self, console: Console) -> None:
        super().__init__(console, keep=False)
        self._study = ""

    def show(self, stage: str, progress: StudyProgress) -> None:
        """Show `progress` of the study of a stage: `clean`, `search`, `verify` or `repeat`."""
        if progress.study_id != self._study:
            self._study, self._meter = progress.study_id, Meter()
        self._meter.add(progress.search_rows)
        rate, line = self._meter.rate, stage_line(stage, progress)
        view = Group(
            Text.assemble(
                (progress.study_id, "bold"), "  ", line, (f"  {progress.optimizer}", "dim")
            ),
            gauge(progress.search_rows, wanted(progress), rate),
        )
        self._view.show(view, f"{line}, {rate:,.0f} queries/s", last=not progress.state.active)


def stage_line(stage: str, progress: StudyProgress) -> str:
    """What a stage does, and how far it is. `search-2` is that of the second attack; the name of a
    verification contains the digest of its inputs.
    """
    stage, _, number = stage.partition("-")
    number = number if stage == "search" else ""
    done = sum(target.finished for target in progress.targets)
    fooled = sum(target.stop_reason is StopReason.SUCCESS for target in progress.targets)
    what = _STAGES[stage] + (f" (attack {number})" if number else "")
    text = f"{what}: {done:,} of {len(progress.targets):,} images done"
    if stage != "search":
        return text
    return f"{text}, {fooled:,} fooled, {progress.search_rows:,} queries"
