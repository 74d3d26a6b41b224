"""Results of a study as a table, as JSON and as a picture."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from blackbox_am.cli.progress import recheck_text, score_text, state_text, wanted
from blackbox_am.core.natural import in_words
from blackbox_am.core.penalties import without_penalties
from blackbox_am.core.types import Best, LayerInfo, StudyProgress
from blackbox_am.core.units import Unit
from blackbox_am.errors import BlackboxError, InvalidInput
from blackbox_am.results import Result


def unit_title(title: str, layers: Sequence[LayerInfo]) -> str:
    """A target's title without its penalties; the unit's label, if its layer has labels, is on a
    second line.
    """
    title, _ = without_penalties(title)
    try:
        unit = Unit.parse(title)
    except InvalidInput:
        return title  # a composed objective
    for layer in layers:
        if layer.name == unit.layer and unit.index is not None and unit.index < len(layer.labels):
            return f"{title}\n{layer.labels[unit.index]}"
    return title


def score_of(entry: Best) -> str:
    """The score; if it was measured again, with its standard error, rows and source."""
    return f"{entry.score:,.4g}" if entry.recheck is None else recheck_text(entry.recheck)


def best_table(best: Sequence[Best]) -> Table:
    """A table of the best score of each target, its place among natural images, and its
    candidate.
    """
    compared = any(entry.natural is not None for entry in best)
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("target", no_wrap=True)
    table.add_column("best score", justify="right", style="bold")
    if compared:
        table.add_column("natural max", justify="right")
        table.add_column("compared", no_wrap=True)
    table.add_column("candidate", style="dim")
    for entry in best:
        place = entry.natural
        natural = [f"{place.maximum:,.4g}", in_words(place)] if place else ["-", ""]
        shown = natural if compared else []
        table.add_row(Text(entry.title), score_of(entry), *shown, str(entry.candidate))
    return table


def best_plain(best: Sequence[Best]) -> list[dict[str, Any]]:
    """The best of each target for JSON."""
    return [
        {
            "target": entry.target,
            "title": entry.title,
            "score": entry.score,
            "candidate": str(entry.candidate),
            "natural": entry.natural and dataclasses.asdict(entry.natural),
            "recheck": entry.recheck and dataclasses.asdict(entry.recheck),
            "latent": entry.latent.tolist(),
        }
        for entry in best
    ]


def study_table(found: Sequence[StudyProgress]) -> Table:
    """A table of studies with their state, queries and best score."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("study", "state", "targets", "queries", "best score"):
        table.add_column(name, justify="left" if name in ("study", "state") else "right")
    for progress in found:
        scores = [t.best_score for t in progress.targets if t.best_score is not None]
        table.add_row(
            Text(progress.study_id, style="bold"),
            state_text(progress.state),
            f"{len(progress.targets):,}",
            f"{progress.search_rows:,} / {wanted(progress):,}",
            score_text(max(scores, default=None)),
        )
    return table


def progress_plain(progress: StudyProgress) -> dict[str, Any]:
    """A study's progress for JSON."""
    return {
        "study_id": progress.study_id,
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
                "natural": target.natural and dataclasses.asdict(target.natural),
                "recheck": target.recheck and dataclasses.asdict(target.recheck),
                "recheck_rows": target.recheck_rows,
                "stop_reason": target.stop_reason.value,
            }
            for target in progress.targets
        ],
    }


def save_hierarchy(
    best: Sequence[Best], layers: Sequence[LayerInfo], heading: str, source: str, path: Path
) -> Path | None:
    """Write a picture of the layers with the best stimulus of each unit.

    Args:
        best: of each target.
        layers: of the model, in the order of the computation.
        heading: text above the picture.
        source: where the stimuli come from, for the line below the heading.
        path: of the picture.

    Returns:
        The path; None, without a picture, if the targets belong to fewer than two layers.
    """
    from blackbox_am.plots import FoundUnit, LayerRow, hierarchy, save

    found: dict[str, list[FoundUnit]] = {}
    for entry in best:
        address, _ = without_penalties(entry.title)
        try:
            layer = Unit.parse(address).layer
        except InvalidInput:
            continue  # a composed objective belongs to no layer
        _, _, label = unit_title(address, layers).partition("\n")
        unit = FoundUnit(address, entry.stimulus, entry.score, label)
        found.setdefault(layer, []).append(unit)
    if len(found) < 2:
        return None
    known = [layer for layer in layers if layer.name in found]
    rows = [LayerRow(layer.name, found[layer.name], _shape_of(layer)) for layer in known]
    from blackbox_am.results.montages import penalties_of

    penalties = penalties_of(best)
    score = f"activation {penalties}" if penalties else "activation"
    note = f"{source}, in the order of the computation. Below each picture: unit and {score}."
    return save(hierarchy(rows, heading=heading, note=note), path)


def _shape_of(layer: LayerInfo) -> str:
    """Units and extent of a layer in words: `64 units of 16 x 16`."""
    pairs = zip(layer.shape, layer.axes, strict=True)
    extent = " x ".join(str(length) for length, axis in pairs if axis != "unit")
    if "token" in layer.axes:
        return f"{layer.units} units, {extent} tokens"
    return f"{layer.units} units of {extent}" if extent else f"{layer.units} units"


def save_montage(
    result: Result, layers: Sequence[LayerInfo], path: Path, random: Sequence[Best] = ()
) -> Path:
    """Write a picture of the best stimuli, of those of a random search, and of the best natural
    images, if there are some.

    Raises:
        BlackboxError: if the study has measured nothing yet.
    """
    from blackbox_am.plots import montage, save
    from blackbox_am.results.montages import heading_of, note_of, rows_of

    if not result.best:
        raise BlackboxError(
            "the study has no measurement yet, so there is nothing to draw; try again later"
        )
    titles = [unit_title(entry.title, layers) for entry in result.best]
    figure = montage(
        rows_of(result.best, random), titles, heading=heading_of(result), note=note_of(result)
    )
    return save(figure, path)
