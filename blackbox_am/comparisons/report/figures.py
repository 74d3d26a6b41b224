"""The figures of a report: curves of all methods, of each unit, and ratios to the baseline."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from matplotlib.figure import Figure

from blackbox_am.comparisons.curves import grid, stacked
from blackbox_am.comparisons.metrics import expected_best, over
from blackbox_am.comparisons.numbers import Metrics
from blackbox_am.comparisons.results import ComparisonResult, FloatArray, Run
from blackbox_am.comparisons.scales import Scale
from blackbox_am.comparisons.statistics import Paired
from blackbox_am.plots.bands import Band, Panel, band_grid, band_panel
from blackbox_am.plots.paired import Pairs, paired_strip
from blackbox_am.plots.style import literal

X_LABEL = "query-equivalents for each unit (forward pass 1, with backward pass 2)"
NATURAL = "best natural image"
OF_N = "best of n natural images"
POINTS, FEW_POINTS = 240, 90
"""Points of a curve in the large figure and in a small panel."""
LABEL = 30
"""Characters of a line of a vertical label."""
MOST_PANELS = 24
"""Units that have a panel of their own; more units are shown by layer."""


def overview(result: ComparisonResult, scale: Scale) -> Figure | None:
    """Median over units of the medians over seeds, with quartiles over units; None without a curve.

    Beside the methods stands the expected best of as many natural images as query-equivalents.
    """
    units = [unit.unit for unit in result.units]
    panel = _panel_of_units(result, scale, units, "", POINTS)
    if panel is None:
        return None
    bands = [*panel.bands, *_natural_band(result, scale, panel.bands[0].x)]
    return band_panel(
        Panel("", bands, panel.level),
        x_label=X_LABEL,
        y_label=_wrapped(scale.name),
        level_name=NATURAL,
    )


def small_panels(result: ComparisonResult, scale: Scale) -> Figure | None:
    """One panel for each unit, with quartiles over seeds; for more than `MOST_PANELS` units one for
    each layer, with quartiles over its units. None without a curve.
    """
    if len(result.units) <= MOST_PANELS:
        panels = [_panel_of_seeds(result, scale, unit.unit) for unit in result.units]
    else:
        layers = dict.fromkeys(unit.layer for unit in result.units)
        panels = [
            _panel_of_units(
                result,
                scale,
                [u.unit for u in result.units if u.layer == layer],
                layer,
                FEW_POINTS,
            )
            for layer in layers
        ]
    shown = [panel for panel in panels if panel is not None]
    if not shown:
        return None
    return band_grid(shown, x_label=X_LABEL, y_label=_wrapped(scale.name), level_name=NATURAL)


def ratio_strip(
    result: ComparisonResult, found: Metrics, against: Sequence[Paired]
) -> Figure | None:
    """The ratio of each method to the baseline for each unit; None if no unit has a ratio."""
    places = {name: place for place, name in enumerate(_names(result))}
    methods = [
        Pairs(
            one.method,
            np.array(
                [
                    over(row.numbers.score, found.levels[row.unit].gradient)
                    for row in found.by_unit.values()
                    if row.method == one.method
                ]
            ),
            one.ratio,
            one.low,
            one.high,
            places[one.method],
        )
        for one in against
        if one.ratios
    ]
    if not methods:
        return None
    return paired_strip(methods, label=f"score, in percent of {literal(result.baseline)}")


def _wrapped(name: str) -> str:
    """A label in lines that a small panel has room for."""
    return "\n".join(textwrap.wrap(name, LABEL))


def _names(result: ComparisonResult) -> list[str]:
    """Names of the methods that have runs, in the order of the methods: that of their colours."""
    searched = {run.method for run in result.runs}
    return [method.name for method in result.methods if method.name in searched]


def _panel_of_units(
    result: ComparisonResult, scale: Scale, units: Sequence[str], title: str, points: int
) -> Panel | None:
    runs = [run for run in result.runs if run.unit in units]
    x = grid(runs, result.budget, points)
    if not x.size:
        return None
    bands = []
    for name in _names(result):
        curves = [
            _medians(_scaled(result.of(name, unit), scale, x))
            for unit in units
            if result.of(name, unit)
        ]
        if curves:
            bands.append(_band(name, x, np.stack(curves)))
    return Panel(title, bands, 1.0 if scale.natural else float("nan"))


def _panel_of_seeds(result: ComparisonResult, scale: Scale, unit: str) -> Panel | None:
    runs = [run for run in result.runs if run.unit == unit]
    x = grid(runs, result.budget, FEW_POINTS)
    if not x.size:
        return None
    bands = [
        _band(name, x, _scaled(mine, scale, x))
        for name in _names(result)
        if (mine := result.of(name, unit))
    ]
    return Panel(unit, bands, 1.0 if scale.natural else float("nan"))


def _natural_band(result: ComparisonResult, scale: Scale, x: FloatArray) -> list[Band]:
    if not all(unit.natural.size for unit in result.units):
        return []
    curves = np.array(
        [
            scale.of(unit.unit, np.array([expected_best(unit.natural, int(n)) for n in x]))
            for unit in result.units
        ]
    )
    return [replace(_band(OF_N, x, curves), faint=True)]


def _scaled(runs: Sequence[Run], scale: Scale, x: FloatArray) -> FloatArray:
    return scale.of(runs[0].unit, stacked(runs, x))


def _medians(curves: FloatArray) -> FloatArray:
    middle: FloatArray = _quantiles(curves, [50])[0]
    return middle


def _band(name: str, x: FloatArray, curves: FloatArray) -> Band:
    """Median and quartiles of curves (R, X); nan where half of them have no score yet."""
    known = (~np.isnan(curves)).mean(axis=0) > 0.5
    low, middle, high = np.where(known, _quantiles(curves, [25, 50, 75]), np.nan)
    return Band(name, x, middle, low, high)


def _quantiles(curves: FloatArray, percent: Sequence[float]) -> FloatArray:
    """(Q, X) percentiles of curves (R, X) without nan; nan where all are."""
    missing = np.isnan(curves)
    found = np.full((len(percent), curves.shape[1]), np.nan)
    complete, partial = ~missing.any(axis=0), missing.any(axis=0) & ~missing.all(axis=0)
    found[:, complete] = np.percentile(curves[:, complete], percent, axis=0)
    if partial.any():  # slow, and needed only where curves begin
        found[:, partial] = np.nanpercentile(curves[:, partial], percent, axis=0)
    return found
