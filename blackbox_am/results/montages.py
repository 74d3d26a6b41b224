"""The rows and texts of a montage of the best stimuli of a study."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from blackbox_am.core.penalties import without_penalties
from blackbox_am.core.types import Best
from blackbox_am.plots.montage import Row

if TYPE_CHECKING:
    from blackbox_am.results.result import Result


def rows_of(best: Sequence[Best], random: Sequence[Best] = ()) -> list[Row]:
    """The best stimuli with their scores, those of a random search, and the best natural images,
    if there are some.

    Args:
        best: of each target.
        random: of each target, of a random search with as many queries; without an entry for a
            target that measured nothing.
    """
    rows = [Row("best", [entry.stimulus for entry in best], [entry.score for entry in best])]
    if random:
        drawn = {entry.target: entry for entry in random}
        found = [drawn.get(entry.target) for entry in best]
        rows.append(
            Row(
                "random\nsearch",
                [None if entry is None else entry.stimulus for entry in found],
                [math.nan if entry is None else entry.score for entry in found],
            )
        )
    if any(entry.natural_stimulus is not None for entry in best):
        maxima = [math.nan if entry.natural is None else entry.natural.maximum for entry in best]
        rows.append(Row("natural", [entry.natural_stimulus for entry in best], maxima))
    return rows


def penalties_of(best: Sequence[Best]) -> str:
    """The penalties that all targets share, such as `- 0.05*stimulus.tv`, or an empty text."""
    found = {without_penalties(entry.title)[1] for entry in best}
    return found.pop() if len(found) == 1 else ""


def heading_of(result: Result) -> str:
    """The model and the generator."""
    spec = result.spec
    if spec is None:
        return result.progress.study_id
    model = spec.oracle or "measured by clients"
    maker = "" if spec.generator is None else f", stimuli of {spec.generator.name}"
    penalties = penalties_of(result.best)
    return f"{model}{maker}" + (f"; scores are activations {penalties}" if penalties else "")


def note_of(result: Result) -> str:
    """Study, optimizer, queries and seed."""
    progress = result.progress
    parts = [
        f"study {progress.study_id}",
        progress.optimizer,
        f"{progress.queries_per_target:,} queries for each target",
        "" if result.spec is None else f"seed {result.spec.seed}",
    ]
    return " · ".join(filter(None, parts))
