"""The curves of several searches, one panel for each target, with bands over seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from blackbox_am.plots.bands import Band, Panel, band_grid, band_panel
from blackbox_am.plots.convergence import curves
from blackbox_am.plots.names import short_names
from blackbox_am.plots.overlay import on_grid
from blackbox_am.results.comparing import Search, place_of, targets_of

_PANEL_CHARACTERS = 28


def comparison_figure(searches: Sequence[Search]) -> Figure:
    """The best score against queries: the median over seeds, and a band from the lowest to the
    highest seed. The dashed line is the best natural image.

    Raises:
        InvalidInput: if the studies share no target, or if nothing is measured yet.
    """
    titles = targets_of(searches)
    short = short_names(titles, _PANEL_CHARACTERS)
    panels = [
        Panel(brief, _bands(searches, title), _level(searches, title))
        for brief, title in zip(short, titles, strict=True)
    ]
    several = any(len(search.results) > 1 for search in searches)
    x_label = "queries per target" + ("; median and range of the seeds" if several else "")
    if len(panels) == 1:
        figure = band_panel(
            panels[0],
            x_label=x_label,
            y_label="best score so far",
            level_name="best natural image",
        )
        figure.suptitle(titles[0], x=0.01, ha="left", fontsize=10)
        return figure
    return band_grid(
        panels,
        x_label=x_label,
        y_label="best score so far",
        level_name="best natural image",
    )


def _bands(searches: Sequence[Search], label: str) -> list[Band]:
    found = []
    for search in searches:
        drawn = []
        for result in search.results:
            every = curves(result.history, len(result.progress.targets))
            curve = every[place_of(result, label)]
            if len(curve.queries):
                drawn.append(curve)
        if not drawn:
            continue
        x, y = on_grid(drawn)
        seen = ~np.isnan(y).all(axis=0)
        low, middle, high = np.nanquantile(y[:, seen], [0.0, 0.5, 1.0], axis=0)
        if len(drawn) == 1:
            low = high = np.full_like(middle, np.nan)
        found.append(Band(search.name, x[seen], middle, low, high))
    return found


def _level(searches: Sequence[Search], label: str) -> float:
    """The score of the best natural image, if the studies agree on it."""
    levels = {
        place.maximum
        for search in searches
        for result in search.results
        if (place := result.progress.targets[place_of(result, label)].natural) is not None
    }
    return levels.pop() if len(levels) == 1 else math.nan
