"""Figures of analyses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from blackbox_am.core.types import FloatArray
from blackbox_am.plots.stimuli import draw
from blackbox_am.plots.style import FAINT, SERIES, clean, house_style, literal

_CELL = 2.5


def map_figure(stimulus: NDArray[Any], values: FloatArray, meaning: str) -> Figure:
    """A stimulus, and a value for each of its places beside it."""
    return maps_figure(stimulus, [("", values)], meaning)


def maps_figure(
    stimulus: NDArray[Any], maps: Sequence[tuple[str, FloatArray]], meaning: str = ""
) -> Figure:
    """A stimulus, and several maps of it, each on a scale of its own."""
    columns = min(len(maps) + 1, 4)
    lines = -(-(len(maps) + 1) // columns)
    wide = values_are_flat(maps[0][1])
    with house_style():
        size = ((3.4 if wide else _CELL + 0.7) * columns, (2.0 if wide else _CELL + 0.3) * lines)
        figure = Figure(figsize=size, facecolor="white", layout="constrained")
        axes = figure.subplots(lines, columns, squeeze=False).ravel()
        draw(axes[0], stimulus)
        axes[0].set_title("stimulus", fontsize=9)
        for place, (name, values) in zip(axes[1:], maps, strict=False):
            draw_map(figure, place, values, name or meaning)
        for place in axes[len(maps) + 1 :]:
            place.set_axis_off()
    return figure


def values_are_flat(values: FloatArray) -> bool:
    """Whether a map is a line or bars, and no picture."""
    return values.ndim == 1


def draw_map(figure: Figure, axes: Axes, values: FloatArray, name: str) -> None:
    """Draw a map: a picture with a scale, or a line. Zero is white if there are negative values."""
    axes.set_title(literal(name), fontsize=9)
    shown = values.mean(0) if values.ndim == 3 else values
    if shown.ndim == 1:
        clean(axes)
        if len(shown) <= 64:
            axes.bar(np.arange(len(shown)), shown, color=SERIES[0], width=0.8)
        else:
            axes.plot(shown, color=SERIES[0], linewidth=1)
        return
    largest = float(np.abs(shown).max()) or 1.0
    signed = bool((shown < 0).any())
    picture = axes.imshow(
        shown,
        cmap="RdBu_r" if signed else "magma",
        vmin=-largest if signed else 0.0,
        vmax=largest,
        interpolation="nearest",
    )
    axes.set_xticks([])
    axes.set_yticks([])
    bar = figure.colorbar(picture, ax=axes, fraction=0.046, pad=0.03)
    bar.ax.tick_params(labelsize=7, colors=FAINT)
    bar.outline.set_visible(False)


def curves_figure(
    curves: Sequence[tuple[str, FloatArray]], x: FloatArray, *, x_label: str, y_label: str
) -> Figure:
    """Curves over the same x, with a legend."""
    with house_style():
        figure = Figure(figsize=(6.4, 3.2), facecolor="white", layout="constrained")
        axes = figure.subplots()
        clean(axes)
        for place, (name, values) in enumerate(curves):
            colour = SERIES[place % len(SERIES)]
            style = "--" if place >= len(SERIES) else "-"
            axes.plot(x, values, color=colour, linestyle=style, linewidth=1.7, label=literal(name))
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
        axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.03))
    return figure


def bars_figure(
    names: Sequence[str],
    bars: Sequence[tuple[str, FloatArray, FloatArray | None]],
    *,
    y_label: str,
    most: int = 40,
) -> Figure:
    """Groups of horizontal bars with intervals, one group a name; the first `most` names.

    Args:
        names: of the groups.
        bars: name, values and half widths of intervals (or None) of each series.
        y_label: what the values are.
        most: most groups that are drawn.
    """
    shown = list(names)[:most]
    height = max(1.8, 0.26 * len(shown) + 0.9)
    with house_style():
        figure = Figure(figsize=(7.0, height), facecolor="white", layout="constrained")
        axes = figure.subplots()
        clean(axes)
        rows, thick = np.arange(len(shown)), 0.8 / len(bars)
        for place, (name, values, half) in enumerate(bars):
            axes.barh(
                rows + (place - (len(bars) - 1) / 2) * thick,
                values[: len(shown)],
                thick,
                xerr=None if half is None else half[: len(shown)],
                color=SERIES[place % len(SERIES)],
                error_kw={"linewidth": 0.8, "ecolor": FAINT},
                label=literal(name),
            )
        axes.set_yticks(rows, [literal(one) for one in shown], fontsize=8)
        axes.invert_yaxis()
        axes.set_xlabel(y_label)
        if len(bars) > 1:
            axes.legend(frameon=False, fontsize=8, loc="lower right")  # the shortest bars
    return figure
