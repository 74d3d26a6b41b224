"""The pictures of a report: for each unit the best natural image and the best of each method."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from blackbox_am.comparisons.metrics import natural_max
from blackbox_am.comparisons.report.wording import NONE, number
from blackbox_am.comparisons.results import ComparedUnit, ComparisonResult, Run
from blackbox_am.comparisons.scales import Scale
from blackbox_am.core.stimuli import as_picture, in_unit_interval, is_series
from blackbox_am.plots.stimuli import draw
from blackbox_am.plots.style import house_style
from blackbox_am.reports import data_uri, figure_svg, png, shrunk

SIDE = 128
"""Pixels of a picture in the page; larger pictures are shrunk."""
SHARP = 64
"""Pictures of at most so many pixels are enlarged without smoothing."""
_DRAWING = (1.7, 1.1)


@dataclass(frozen=True)
class Shown:
    """One stimulus.

    Attributes:
        uri: the picture as data URI; empty if there is none.
        text: its score, on the scale of the comparison.
        sharp: whether the picture is enlarged without smoothing.
        drawn: whether it is a drawing, whose colours change on a dark ground.
        best: whether it has the highest score of its line.
        alt: what it is, in words.
    """

    uri: str
    text: str
    sharp: bool = False
    drawn: bool = False
    best: bool = False
    alt: str = ""


@dataclass(frozen=True)
class Line:
    """The stimuli of one unit, the natural image first.

    Attributes:
        unit, layer: which.
        shown: one for each column.
    """

    unit: str
    layer: str
    shown: tuple[Shown, ...]


def lines(result: ComparisonResult, scale: Scale) -> tuple[list[str], list[Line]]:
    """The names of the columns, and a line for each unit; of each method, the seed with the highest
    score is shown.
    """
    searched = {run.method for run in result.runs}
    methods = [method.name for method in result.methods if method.name in searched]
    natural = any(unit.natural_image is not None for unit in result.units)
    columns = [*(["natural"] if natural else []), *methods]
    return columns, [_line(result, scale, unit, methods, natural) for unit in result.units]


def best_run(result: ComparisonResult, method: str, unit: str) -> Run | None:
    """The run with the highest score among those that have a stimulus."""
    runs = [
        run
        for run in result.of(method, unit)
        if run.stimulus is not None and not np.isnan(run.score)
    ]
    return max(runs, key=lambda run: run.score, default=None)


def _line(
    result: ComparisonResult,
    scale: Scale,
    unit: ComparedUnit,
    methods: list[str],
    natural: bool,
) -> Line:
    runs = [best_run(result, method, unit.unit) for method in methods]
    highest = max((run.score for run in runs if run is not None), default=np.inf)
    shown = []
    if natural:
        text = _score(scale, unit.unit, natural_max(unit))
        shown.append(_shown(unit.natural_image, text, f"natural image, {unit.unit}"))
    for method, run in zip(methods, runs, strict=True):
        shown.append(
            Shown("", NONE)
            if run is None
            else _shown(
                run.stimulus,
                _score(scale, unit.unit, run.score),
                f"{method}, {unit.unit}",
                best=run.score == highest,
            )
        )
    return Line(unit.unit, unit.layer, tuple(shown))


def _score(scale: Scale, unit: str, score: float) -> str:
    value = float(scale.of(unit, np.asarray(score)))
    return f"{number(value)} ×" if scale.natural and not np.isnan(value) else number(value)


def _shown(
    stimulus: NDArray[np.float32] | None, text: str, alt: str, *, best: bool = False
) -> Shown:
    if stimulus is None:
        return Shown("", text, best=best)
    values = in_unit_interval(stimulus)
    if values.ndim in (2, 3, 4) and not is_series(values.shape):
        picture, _ = as_picture(values)
        sharp = max(picture.shape[:2]) <= SHARP
        uri = data_uri(png(shrunk(picture, SIDE)))
        return Shown(uri, text, sharp=sharp, best=best, alt=alt)
    return Shown(data_uri(_drawing(values)), text, drawn=True, best=best, alt=alt)


def _drawing(values: NDArray[np.float32]) -> bytes:
    """A series or a row of a table as SVG."""
    with house_style():
        figure = Figure(figsize=_DRAWING)
        draw(figure.add_axes((0.01, 0.02, 0.98, 0.96)), values, words=False)
    return figure_svg(figure)
