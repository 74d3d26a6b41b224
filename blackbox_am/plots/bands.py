"""Curves with bands: how several methods progress, for one or for several targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from blackbox_am.core.types import FloatArray
from blackbox_am.errors import InvalidInput
from blackbox_am.plots.style import FAINT, INK, SERIES, clean, house_style, literal

_WHOLE = (9.2, 3.7)
_PANEL = (2.3, 1.65)
_COLUMNS = 4
_TOP, _BOTTOM = 0.45, 0.5
_DASHES = ("-", (0, (6, 2)), (0, (3, 1, 1, 1)))
_LEVEL, _DOTS = (0, (4, 2)), (0, (1, 1.3))


@dataclass(frozen=True)
class Band:
    """One curve with a band around it.

    Attributes:
        name: its name in the legend. Bands of equal names have equal colours in all panels.
        x: (X,) ascending.
        middle: (X,); nan where there is no number.
        low, high: (X,) limits of the band; nan draws no band.
        faint: whether the curve is drawn in grey and without its band, as a reference.
    """

    name: str
    x: FloatArray
    middle: FloatArray
    low: FloatArray
    high: FloatArray
    faint: bool = False


@dataclass(frozen=True)
class Panel:
    """The curves of one target.

    Attributes:
        title: title of the panel.
        bands: the curves.
        level: height of a dashed line; nan draws none.
    """

    title: str
    bands: Sequence[Band]
    level: float = float("nan")


def band_panel(panel: Panel, *, x_label: str, y_label: str, level_name: str = "") -> Figure:
    """One large panel with its legend at the right.

    Args:
        panel: the curves; the title is left out.
        x_label, y_label: names of the axes.
        level_name: name of the dashed line in the legend.

    Raises:
        InvalidInput: without a curve.
    """
    looks = _looks([panel])
    with house_style():
        figure = Figure(figsize=_WHOLE, facecolor="white", layout=ConstrainedLayoutEngine())
        axes = figure.subplots()
        _draw(axes, panel, looks)
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
        handles = _handles(looks, level_name if np.isfinite(panel.level) else "")
        figure.legend(handles=handles, loc="outside right upper", frameon=False, fontsize=9)
    return figure


def band_grid(
    panels: Sequence[Panel], *, x_label: str, y_label: str, level_name: str = ""
) -> Figure:
    """A small panel for each target, with one legend for all; arguments as for `band_panel`.

    Raises:
        InvalidInput: without a panel, or without a curve.
    """
    looks = _looks(panels)
    columns = min(_COLUMNS, len(panels))
    lines = -(-len(panels) // columns)
    width, height = max(columns * _PANEL[0], 5.0), lines * _PANEL[1] + _TOP + _BOTTOM
    with house_style():
        figure = Figure(figsize=(width, height), facecolor="white")
        # Fixed margins, in inches: to measure every text takes as long as the drawing.
        figure.subplots_adjust(
            left=0.62 / width,
            right=1 - 0.1 / width,
            bottom=_BOTTOM / height,
            top=1 - (_TOP + 0.2) / height,
            wspace=0.26,
            hspace=0.42,
        )
        grid: list[Axes] = list(figure.subplots(lines, columns, squeeze=False).flat)
        for axes, panel in zip(grid, panels, strict=False):
            _draw(axes, panel, looks)
            axes.set_title(literal(panel.title), fontsize=8, color=INK, loc="left")
            axes.tick_params(labelsize=7)
            axes.xaxis.set_major_locator(MaxNLocator(3))
            axes.yaxis.set_major_locator(MaxNLocator(4))
        for unused in grid[len(panels) :]:
            unused.set_axis_off()
        level = level_name if any(np.isfinite(panel.level) for panel in panels) else ""
        figure.legend(
            handles=_handles(looks, level),
            loc="upper center",
            ncols=min(len(looks) + bool(level), 5),
            frameon=False,
            fontsize=8,
        )
        figure.supxlabel(x_label, fontsize=8, y=0.06 / height)
        figure.supylabel(y_label, fontsize=8, x=0.06 / width)
    return figure


def _draw(axes: Axes, panel: Panel, looks: Mapping[str, _Look]) -> None:
    clean(axes)
    for place, band in enumerate(panel.bands):
        look = looks[band.name]
        if not band.faint:
            axes.fill_between(
                band.x, band.low, band.high, color=look.colour, alpha=0.16, linewidth=0, step="post"
            )
        axes.plot(
            band.x,
            band.middle,
            color=look.colour,
            linestyle=look.dashes,
            linewidth=1.4 if band.faint else 1.8,
            drawstyle="steps-post",
            zorder=3 - 0.05 * place,
        )
    if np.isfinite(panel.level):
        axes.axhline(panel.level, color=FAINT, linewidth=1.1, linestyle=_LEVEL, zorder=2)
    axes.set_xlim(0, max(float(band.x[-1]) for band in panel.bands))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))


@dataclass(frozen=True)
class _Look:
    """Colour and dashes of a curve."""

    colour: str
    dashes: Any


def _looks(panels: Sequence[Panel]) -> dict[str, _Look]:
    """The look of each name; the first six names have a colour of their own."""
    bands = {band.name: band for panel in panels for band in panel.bands}
    if not bands or not all(len(panel.bands) for panel in panels):
        raise InvalidInput("a figure of curves needs at least one panel, and a curve in each")
    shown = [name for name, band in bands.items() if not band.faint]
    found = {
        name: _Look(SERIES[place % len(SERIES)], _DASHES[place // len(SERIES) % len(_DASHES)])
        for place, name in enumerate(shown)
    }
    return {name: found.get(name, _Look(FAINT, _DOTS)) for name in bands}


def _handles(looks: Mapping[str, _Look], level_name: str) -> list[Line2D]:
    lines = {name: (look.colour, look.dashes, 2.0) for name, look in looks.items()}
    if level_name:
        lines[level_name] = (FAINT, _LEVEL, 1.1)
    return [
        Line2D([], [], color=colour, linestyle=dashes, linewidth=width, label=literal(name))
        for name, (colour, dashes, width) in lines.items()
    ]
