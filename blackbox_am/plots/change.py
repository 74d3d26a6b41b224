"""Figure of the change of a series: before, after, and the difference."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from blackbox_am.core.stimuli import in_unit_interval, is_series
from blackbox_am.plots.style import FAINT, SERIES, clean, house_style

_WIDTH = 3.7
_PANEL = 0.85
_CHANNELS = 4


def change(before: NDArray[np.generic], after: NDArray[np.generic]) -> Figure:
    """Draw a series before and after a change, and the change itself below on an axis of its own.

    A stimulus (C, T) with a long second axis has one panel for each of its first 4 channels; any
    other shape is drawn as one line of numbers.

    Args:
        before, after: stimuli of one shape, float in [0, 1] or uint8.
    """
    first, second = (_lines(one) for one in (before, after))
    shown = min(len(first), _CHANNELS)
    with house_style():
        figure = Figure(
            figsize=(_WIDTH, _PANEL * (shown + 0.7)), facecolor="white", layout="constrained"
        )
        panels = figure.subplots(
            shown + 1, 1, sharex=True, squeeze=False, height_ratios=[1.0] * shown + [0.7]
        )[:, 0]
    for axes, old, new in zip(panels, first, second, strict=False):
        clean(axes)
        axes.plot(old, color=SERIES[0], linewidth=1.4, label="clean")
        axes.plot(new, color=SERIES[1], linewidth=0.7, label="adversarial")
    difference = panels[-1]
    clean(difference)
    for channel in range(shown):
        difference.plot(second[channel] - first[channel], color=SERIES[2 + channel], linewidth=0.7)
    difference.set_ylabel("change", fontsize=8)
    panels[0].legend(
        frameon=False, fontsize=7, ncols=2, loc="lower right", bbox_to_anchor=(1, 1), borderpad=0
    )
    if len(first) > shown:
        panels[0].set_title(
            f"{shown} of {len(first)} channels", fontsize=7, color=FAINT, loc="left"
        )
    return figure


def _lines(stimulus: NDArray[np.generic]) -> NDArray[np.float32]:
    values = in_unit_interval(stimulus)
    return values if is_series(values.shape) else values.reshape(1, -1)
