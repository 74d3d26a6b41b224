"""Figure of pairs: one point for each unit, how much a method found relative to a baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from blackbox_am.core.types import FloatArray
from blackbox_am.errors import InvalidInput
from blackbox_am.plots.style import FAINT, INK, SERIES, clean, house_style, literal

_WIDTH, _LINE, _MARGIN = 9.2, 0.6, 0.7


@dataclass(frozen=True)
class Pairs:
    """The ratios of one method to the baseline.

    Attributes:
        name: name of the method.
        ratios: (N,) of the units; nan is not drawn.
        middle, low, high: their median and its interval.
        place: number of the method's colour.
    """

    name: str
    ratios: FloatArray
    middle: float
    low: float
    high: float
    place: int = 0


def paired_strip(methods: Sequence[Pairs], *, label: str) -> Figure:
    """One line of points for each method, with median and interval, and a line at 100 %.

    Args:
        methods: the methods, from the top.
        label: name of the axis.

    Raises:
        InvalidInput: without a method.
    """
    if not methods:
        raise InvalidInput("a figure of pairs needs at least one method")
    with house_style():
        height = _LINE * len(methods) + _MARGIN
        figure = Figure(figsize=(_WIDTH, height), facecolor="white", layout="constrained")
        axes = figure.subplots()
        clean(axes)
        axes.axvline(100, color=FAINT, linewidth=1.1, linestyle=(0, (4, 2)))
        for line, one in enumerate(methods):
            known = np.sort(100 * one.ratios[~np.isnan(one.ratios)])
            # Neighbours stand at different heights, so that points do not hide each other.
            offsets = 0.13 * (np.arange(len(known)) % 3 - 1)
            colour = SERIES[one.place % len(SERIES)]
            axes.plot(known, line + offsets, "o", color=colour, alpha=0.55, markersize=4.5, mew=0)
            if not np.isnan(one.low):
                ends = [100 * one.low, 100 * one.high]
                axes.plot(ends, [line, line], color=INK, linewidth=1.6, zorder=4)
            axes.plot([100 * one.middle], [line], "|", color=INK, markersize=15, mew=2.2, zorder=5)
        axes.set_yticks(range(len(methods)), [literal(one.name) for one in methods])
        axes.tick_params(axis="y", labelcolor=INK, labelsize=9, length=0)
        axes.set_ylim(len(methods) - 0.45, -0.55)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f} %"))
        axes.grid(visible=False, axis="y")
        axes.spines["left"].set_visible(False)
        axes.set_xlabel(label)
    return figure
