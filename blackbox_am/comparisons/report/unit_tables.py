"""Tables with one row for each unit, and for each loss of a method."""

from __future__ import annotations

import math
from collections.abc import Iterable

from blackbox_am.comparisons.numbers import Metrics, Numbers
from blackbox_am.comparisons.report import wording
from blackbox_am.comparisons.report.tables import Cell, Column, Table, cell, searched
from blackbox_am.comparisons.report.wording import NONE
from blackbox_am.comparisons.results import ComparisonResult
from blackbox_am.comparisons.scales import Scale
from blackbox_am.comparisons.statistics import Paired


def unit_table(result: ComparisonResult, found: Metrics) -> Table:
    """One row for each unit: natural maximum, and the median score of each method."""
    methods = searched(result, found)
    twins = any(unit.twin for unit in result.units)
    columns = (
        Column("unit", number=False),
        Column("layer", number=False),
        Column("natural maximum"),
        Column("random start", about="Best of 64 random latents."),
        Column("best known"),
        *(Column(method.name, about="Median over seeds.") for method in methods),
        *([Column("matched unit", number=False)] if twins else []),
    )
    rows = []
    for unit in result.units:
        level = found.levels[unit.unit]
        note = f"r = {unit.twin_correlation:.2f}" if unit.twin else ""
        rows.append(
            (
                Cell(unit.unit),
                Cell(unit.layer),
                cell(wording.number(level.natural_max), level.natural_max),
                cell(wording.number(level.start), level.start),
                cell(wording.number(level.best_known), level.best_known),
                *(_score(found, method.name, unit.unit) for method in methods),
                *([Cell(unit.twin or NONE, note=note)] if twins else []),
            )
        )
    return Table(columns, tuple(rows))


def loss_table(result: ComparisonResult, scale: Scale, losers: Iterable[Paired]) -> Table:
    """Every unit that a method lost against the baseline."""
    columns = (
        Column("method", number=False),
        Column("unit", number=False),
        Column("layer", number=False),
        Column("score"),
        Column(result.baseline),
        Column(f"of {result.baseline}"),
        Column("difference", about=f"In units of: {scale.name}."),
    )
    rows = [
        (
            Cell(loss.method),
            Cell(loss.unit),
            Cell(loss.layer),
            cell(wording.number(loss.score), loss.score),
            cell(wording.number(loss.baseline), loss.baseline),
            cell(wording.percent(loss.ratio, 1), loss.ratio),
            cell(wording.number(loss.difference), loss.difference),
        )
        for one in losers
        for loss in one.lost
    ]
    return Table(columns, tuple(rows))


def _score(found: Metrics, method: str, unit: str) -> Cell:
    """The score of a method, bold where it is the best of the unit."""
    row = found.by_unit.get((method, unit))
    if row is None or math.isnan(row.numbers.score):
        return cell(NONE, math.nan)
    numbers: Numbers = row.numbers
    scores = [one.numbers.score for key, one in found.by_unit.items() if key[1] == unit]
    best = max((score for score in scores if not math.isnan(score)), default=math.nan)
    note = wording.times(numbers.relative) if not math.isnan(numbers.relative) else ""
    mark = "good" if numbers.score == best else ""
    return cell(wording.number(numbers.score), numbers.score, note=note, mark=mark)
