"""Results of a study as a table, as JSON and as a picture."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from blackbox_am.core.types import Best, LayerInfo, StudyProgress
from blackbox_am.core.units import Unit
from blackbox_am.errors import BlackboxError, InvalidInput


def unit_title(title: str, layers: Sequence[LayerInfo]) -> str:
    """A target's title, with the unit's label on a second line if its layer has labels."""
    try:
        unit = Unit.parse(title)
    except InvalidInput:
        return title  # a composed objective
    for layer in layers:
        if layer.name == unit.layer and unit.index is not None and unit.index < len(layer.labels):
            return f"{title}\n{layer.labels[unit.index]}"
    return title


def best_table(best: Sequence[Best]) -> Table:
    """A table of the best score of each target and its candidate."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("target", no_wrap=True)
    table.add_column("best score", justify="right", style="bold")
    table.add_column("candidate", style="dim")
    for entry in best:
        table.add_row(Text(entry.title), f"{entry.score:,.4g}", str(entry.candidate))
    return table


def best_plain(best: Sequence[Best]) -> list[dict[str, Any]]:
    """The best of each target for JSON."""
    return [
        {
            "target": entry.target,
            "title": entry.title,
            "score": entry.score,
            "candidate": str(entry.candidate),
            "latent": entry.latent.tolist(),
        }
        for entry in best
    ]


def progress_plain(progress: StudyProgress) -> dict[str, Any]:
    """A study's progress for JSON."""
    return {
        "study": progress.study_id,
        "state": progress.state.value,
        "stop_reason": progress.stop_reason.value,
        "message": progress.message,
        "optimizer": progress.optimizer,
        "warning": progress.warning,
        "generation": progress.generation,
        "queries": progress.search_rows,
        "failed_queries": progress.failed_rows,
        "queries_per_target": progress.queries_per_target,
        "seconds": round(progress.seconds, 3),
        "oracle": dataclasses.asdict(progress.spent),
        "targets": [
            {
                "title": target.title,
                "queries": target.queries,
                "best_score": target.best_score,
                "stop_reason": target.stop_reason.value,
            }
            for target in progress.targets
        ],
    }


def save_montage(best: Sequence[Best], layers: Sequence[LayerInfo], path: Path) -> Path:
    """Write a picture of the best stimuli.

    Raises:
        BlackboxError: if the study has measured nothing yet.
    """
    from blackbox_am.plots import Row, montage, save

    if not best:
        raise BlackboxError(
            "the study has no measurement yet, so there is nothing to draw; try again later"
        )
    titles = [unit_title(entry.title, layers) for entry in best]
    row = Row("best", [entry.stimulus for entry in best], [entry.score for entry in best])
    return save(montage([row], titles), path)
