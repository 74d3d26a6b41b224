"""Convergence plots: the best score against the number of queries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from blackbox_am.core.types import FloatArray, GenerationScores
from blackbox_am.errors import InvalidInput
from blackbox_am.plots.style import FAINT, INK, SERIES, clean, house_style

_PANEL = (2.35, 1.75)


@dataclass(frozen=True)
class Curve:
    """The best score of one target so far.

    Attributes:
        queries: (G,) int64, rows spent on the target after each of its generations.
        best: (G,) float64, the best score so far; nan while every row has failed.
    """

    queries: NDArray[np.int64]
    best: FloatArray


def curves(history: Iterable[GenerationScores], targets: int) -> list[Curve]:
    """Convergence curves of a study, one for each target.

    Args:
        history: the study's closed generations, in order.
        targets: number of targets K.
    """
    queries: list[list[int]] = [[] for _ in range(targets)]
    best: list[list[float]] = [[] for _ in range(targets)]
    for generation in history:
        for target, scores in zip(generation.targets, generation.scores, strict=True):
            spent = queries[target][-1] if queries[target] else 0
            before = best[target][-1] if best[target] else np.nan
            queries[target].append(spent + len(scores))
            best[target].append(float(np.fmax(before, np.fmax.reduce(scores))))
    return [
        Curve(np.asarray(q, dtype=np.int64), np.asarray(b, dtype=np.float64))
        for q, b in zip(queries, best, strict=True)
    ]


def convergence(
    searches: Mapping[str, Sequence[Curve]],
    titles: Sequence[str],
    *,
    levels: Sequence[float] | None = None,
    level_name: str = "best natural image",
    heading: str = "",
    columns: int = 5,
) -> Figure:
    """Plot the best score against queries, with one panel for each target.

    Args:
        searches: the curves of each search, one for each target. The keys are the names in the
            legend.
        titles: title of each target.
        levels: score of a dashed line for each target, such as that of the best natural image;
            nan draws no line.
        level_name: name of `levels` in the legend.
        heading: text above the panels.
        columns: number of panels in a row.

    Raises:
        InvalidInput: if there is no search or no target, or if lengths differ.
    """
    if not searches or not titles:
        raise InvalidInput("a convergence plot needs at least one search and one target")
    for name, drawn in [*searches.items(), (level_name, titles if levels is None else levels)]:
        if len(drawn) != len(titles):
            raise InvalidInput(
                f"{name!r}: expected {len(titles)} entries, one for each title, got {len(drawn)}"
            )
    width = min(columns, len(titles))
    height = -(-len(titles) // width)
    with house_style():
        size = (max(width * _PANEL[0], 4.6), height * _PANEL[1] + 1.0)
        layout = ConstrainedLayoutEngine(w_pad=0.06, h_pad=0.06)
        figure = Figure(figsize=size, facecolor="white", layout=layout)
        grid = figure.subplots(height, width, squeeze=False)
        panels: list[Axes] = list(grid.flat)
        for index, title in enumerate(titles):
            level = np.nan if levels is None else float(levels[index])
            _panel(panels[index], [drawn[index] for drawn in searches.values()], level, title)
        for unused in panels[len(titles) :]:
            unused.set_axis_off()
        _annotate(figure, list(searches), None if levels is None else level_name, heading)
    return figure


def _panel(axes: Axes, drawn: Sequence[Curve], level: float, title: str) -> None:
    clean(axes)
    for place, curve in enumerate(drawn):
        axes.plot(
            curve.queries,
            curve.best,
            color=SERIES[place % len(SERIES)],
            linewidth=1.9 if place == 0 else 1.6,
            zorder=3 - 0.1 * place,
            drawstyle="steps-post",
        )
    if np.isfinite(level):
        axes.axhline(level, color=FAINT, linewidth=1.2, linestyle=(0, (4, 2)), zorder=2)
    name, _, label = title.partition("\n")
    shown = f"{name}  ({label})" if label else name
    axes.set_title(shown, fontsize=8.5, color=INK, loc="left", fontweight="bold")
    axes.set_xlim(left=0)
    axes.locator_params(axis="both", nbins=4)
    axes.margins(y=0.08)


def _annotate(figure: Figure, names: Sequence[str], level_name: str | None, heading: str) -> None:
    handles = [
        Line2D([], [], color=SERIES[place % len(SERIES)], linewidth=2.2, label=name)
        for place, name in enumerate(names)
    ]
    if level_name is not None:
        handles.append(
            Line2D([], [], color=FAINT, linewidth=1.2, linestyle=(0, (4, 2)), label=level_name)
        )
    figure.legend(
        handles=handles,
        loc="outside upper right" if heading else "outside upper center",
        ncols=len(handles),
        frameon=False,
        fontsize=9,
    )
    if heading:
        figure.suptitle(heading, x=0.01, ha="left", fontsize=11.5)
    figure.supxlabel("queries per unit", fontsize=9)
    figure.supylabel("best activation so far", fontsize=9)
