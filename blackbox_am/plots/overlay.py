"""Convergence of several targets or seeds in one pair of axes, with a band when they are many."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from blackbox_am.core.types import FloatArray
from blackbox_am.errors import InvalidInput
from blackbox_am.plots.convergence import Curve
from blackbox_am.plots.names import shortened
from blackbox_am.plots.style import FAINT, SERIES, clean, literal

_DASHES = (0, (4, 2))
MOST_LINES = len(SERIES)
"""Largest number of curves that have a colour and a name of their own."""


def on_grid(curves: Sequence[Curve]) -> tuple[FloatArray, FloatArray]:
    """The curves at the queries of all of them.

    Returns:
        x: (X,) ascending numbers of queries.
        y: (C, X) best score so far; nan before the first score of a curve. A curve that ended keeps
            its last score, because its target is finished.
    """
    x = np.unique(np.concatenate([curve.queries for curve in curves])).astype(np.float64)
    y = np.full((len(curves), len(x)), np.nan)
    for row, curve in enumerate(curves):
        if len(curve.queries):
            place = np.searchsorted(curve.queries, x, side="right") - 1
            y[row] = np.where(place >= 0, curve.best[np.maximum(place, 0)], np.nan)
    return x, y


def draw_convergence(
    axes: Axes,
    curves: Sequence[Curve],
    titles: Sequence[str],
    *,
    levels: Sequence[float] | None = None,
    level_name: str = "best natural image",
    what: str = "targets",
) -> None:
    """Draw the best score against queries.

    Up to 6 curves have a colour and a name each. More curves are drawn faintly, with their median
    and a band from the first to the third quartile.

    Args:
        axes: axes to draw into.
        curves: the curves, one or more.
        titles: name of each curve.
        levels: score of a dashed line for each curve, drawn if curves have colours; nan draws none.
        level_name: name of `levels` in the legend.
        what: what the curves are, in the legend of a band: `targets`, `seeds`.

    Raises:
        InvalidInput: without a curve, or if lengths differ.
    """
    if not curves or len(curves) != len(titles):
        raise InvalidInput(
            f"a convergence plot needs curves and as many titles, got {len(curves)} and "
            f"{len(titles)}"
        )
    clean(axes)
    if len(curves) <= MOST_LINES:
        _draw_lines(axes, curves, titles, levels, level_name)
    else:
        _draw_band(axes, curves, what)
    axes.set_xlim(left=0)
    axes.margins(y=0.06)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.set_xlabel("queries per target")
    axes.set_ylabel("best score so far")
    axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.03))


def _draw_lines(
    axes: Axes,
    curves: Sequence[Curve],
    titles: Sequence[str],
    levels: Sequence[float] | None,
    level_name: str,
) -> None:
    drawn = [] if levels is None else [level for level in levels if np.isfinite(level)]
    for place, (curve, title) in enumerate(zip(curves, titles, strict=True)):
        axes.plot(
            curve.queries,
            curve.best,
            color=SERIES[place],
            linewidth=1.8,
            drawstyle="steps-post",
            label=literal(shortened(title, 40)),
        )
        level = np.nan if levels is None else levels[place]
        if np.isfinite(level):
            axes.axhline(level, color=SERIES[place], linewidth=1.1, linestyle=_DASHES)
    if drawn:
        axes.plot([], [], color=FAINT, linewidth=1.1, linestyle=_DASHES, label=level_name)


def _draw_band(axes: Axes, curves: Sequence[Curve], what: str) -> None:
    for curve in curves:
        axes.plot(
            curve.queries,
            curve.best,
            color=FAINT,
            alpha=0.35,
            linewidth=0.7,
            drawstyle="steps-post",
        )
    x, y = on_grid(curves)
    seen = ~np.isnan(y).all(axis=0)
    low, middle, high = np.nanquantile(y[:, seen], [0.25, 0.5, 0.75], axis=0)
    axes.fill_between(
        x[seen],
        low,
        high,
        color=SERIES[0],
        alpha=0.2,
        linewidth=0,
        step="post",
        label="first to third quartile",
    )
    name = f"median of {len(curves)} {what}"
    axes.plot(x[seen], middle, color=SERIES[0], linewidth=1.9, drawstyle="steps-post", label=name)
