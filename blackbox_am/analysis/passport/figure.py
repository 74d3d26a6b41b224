"""The figure of a passport: histogram and tuning curves beside each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib import colors
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from blackbox_am.analysis.passport.tuning import Tuning
from blackbox_am.core.types import FloatArray
from blackbox_am.plots.style import SERIES, clean, house_style


def passport_figure(scores: FloatArray, tuning: Sequence[Tuning], found: Sequence[float]) -> Figure:
    """A histogram of natural activations with the scores of searches, and the tuning curves.

    Args:
        scores: (N,) activations for natural stimuli.
        tuning: curves; that of the position is drawn elsewhere, as a map.
        found: scores of searches.
    """
    curves = [one for one in tuning if one.factor != "position"]
    with house_style():
        figure = Figure(figsize=(2.9 * (1 + len(curves)), 2.3), facecolor="white")
        axes = figure.subplots(1, 1 + len(curves), squeeze=False)[0]
        figure.subplots_adjust(left=0.05, right=0.99, bottom=0.22, top=0.97, wspace=0.28)
        for place in axes:
            clean(place)
        axes[0].hist(scores, bins=min(40, max(5, len(scores) // 8)), color=SERIES[0])
        for score in found:
            axes[0].axvline(score, color=SERIES[1], linestyle="--", linewidth=1.2)
        axes[0].set_xlabel("activation")
        axes[0].set_ylabel("natural stimuli")
        for place, one in zip(axes[1:], curves, strict=True):
            _draw(place, one)
    return figure


def _draw(axes: Axes, one: Tuning) -> None:
    if one.factor == "colour":
        shades = [colors.hsv_to_rgb((hue / 360, 0.9, 0.9)) for hue in one.values]
        width = float(np.diff(one.values)[0]) * 0.9
        low = min(0.0, float(one.responses.min()))
        axes.bar(one.values, one.responses - low, width, bottom=low, color=shades)
    else:
        axes.plot(one.values, one.responses, color=SERIES[0], marker="o", markersize=3)
        axes.axvline(one.best, color=SERIES[1], linestyle="--", linewidth=1.0)
    if one.factor == "frequency":
        axes.set_xscale("log", base=2)
    axes.set_xlabel(f"{one.factor}, {one.measured_in}")
