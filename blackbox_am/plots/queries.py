"""Figures of the queries at which attacks succeed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter
from numpy.typing import NDArray

from blackbox_am.errors import InvalidInput
from blackbox_am.plots.style import SERIES, literal, panel

_BINS_PER_DECADE = 6


@dataclass(frozen=True)
class Stops:
    """The queries at which one attack succeeded.

    Attributes:
        name: name of the attack in the legend.
        queries: (S,) queries of each input that the attack fooled, 1 or more.
        attacked: number of inputs that were attacked, at least S.
        budget: greatest number of queries for an input.
    """

    name: str
    queries: NDArray[np.int64]
    attacked: int
    budget: int


def success_curves(attacks: Sequence[Stops]) -> Figure:
    """Share of the attacked inputs that are fooled within a number of queries, on a log axis.

    Raises:
        InvalidInput: without an attack.
    """
    figure, axes, budget = _figure(attacks)
    for place, one in enumerate(attacks):
        spent, counts = np.unique(np.maximum(one.queries, 1), return_counts=True)
        share = np.cumsum(counts) / max(one.attacked, 1)
        last = share[-1] if len(share) else 0.0
        axes.plot(
            np.concatenate([[1], spent, [budget]]),
            100 * np.concatenate([[0], share, [last]]),
            drawstyle="steps-post",
            color=SERIES[place % len(SERIES)],
            linestyle="-" if place < len(SERIES) else (0, (4, 2)),
            linewidth=1.9,
            label=literal(f"{one.name}: {len(one.queries)} of {one.attacked}"),
        )
    axes.set_ylim(-2, 102)
    axes.set_ylabel("fooled, % of the attacked inputs")
    axes.legend(frameon=False, fontsize=8, loc="best")
    return figure


def stop_histogram(attacks: Sequence[Stops]) -> Figure:
    """Number of inputs by the queries of their success, in bins of equal width on a log axis.

    Raises:
        InvalidInput: without an attack.
    """
    figure, axes, budget = _figure(attacks)
    bins = _bins(budget)
    highest: list[int] = []
    for place, one in enumerate(attacks):
        colour = SERIES[place % len(SERIES)]
        failed = one.attacked - len(one.queries)
        heights, _ = np.histogram(np.clip(one.queries, 1, budget), bins)
        highest.append(heights.max())
        axes.stairs(
            heights,
            bins,
            color=colour,
            linewidth=1.6,
            fill=len(attacks) == 1,
            label=literal(f"{one.name}: {failed} without success"),
        )
    axes.set_ylabel("inputs")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    # Room for the legend above the highest bar.
    axes.set_ylim(0, max(1, *highest) * (1.08 + 0.08 * len(attacks)))
    axes.legend(frameon=False, fontsize=8, loc="upper right")
    return figure


def _bins(budget: int) -> NDArray[np.float64]:
    """Edges of bins; those of few queries are whole numbers, so that no bin has no number in it."""
    decades = np.log10(budget + 1)
    edges = np.logspace(0, decades, max(2, round(decades * _BINS_PER_DECADE)) + 1)
    return np.unique(np.append(np.floor(edges[:-1]), budget + 1))


def _figure(attacks: Sequence[Stops]) -> tuple[Figure, Axes, int]:
    if not attacks:
        raise InvalidInput("a figure of queries needs at least one attack")
    budget = max(2, *(one.budget for one in attacks))
    figure, axes = panel()
    axes.set_xscale("log")
    axes.set_xlim(1, budget * 1.02)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("queries of the search for one input")
    return figure, axes, budget
