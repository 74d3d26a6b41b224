"""Drawing of one stimulus: a picture, a clip, channels, a time series or a table row."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from blackbox_am.core.stimuli import Numbers, Stimulus, as_picture, in_unit_interval, is_series
from blackbox_am.plots.style import FAINT, GRID, SERIES

_BARS = 64


def draw(axes: Axes, stimulus: Stimulus | None, *, words: bool = True) -> None:
    """Draw a stimulus, float in [0, 1] or uint8; None draws an empty frame.

    ====================  ==========================================================
    shape                 drawn as
    ====================  ==========================================================
    (D,)                  a table row: one bar for each number, or a line if D > 64
    (C, T), T >= 4 C      a time series: one line for each channel
    (H, W), (1, H, W)     a grey picture
    (3, H, W)             a picture in red, green and blue
    (C, H, W)             the channels as grey tiles in reading order, 16 at most
    (T, C, H, W)          the frames in reading order, 9 at most, evenly spaced in time
    more axes             a line through all numbers
    ====================  ==========================================================

    Args:
        axes: axes to draw into.
        stimulus: the stimulus.
        words: whether a note above the drawing states what the drawing does not show, such as
            the number of channels.
    """
    unsaid = "" if stimulus is None else _draw(axes, in_unit_interval(stimulus))
    if unsaid and words:
        _note(axes, unsaid)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_color(GRID)


def _draw(axes: Axes, values: Numbers) -> str:
    """Draw, and return a note on what the drawing does not show."""
    if is_series(values.shape):
        _draw_series(axes, values)
        return f"{len(values)} channels" if len(values) > 1 else ""
    if values.ndim == 1 and len(values) <= _BARS:
        _draw_bars(axes, values)
        return ""
    if values.ndim in (2, 3, 4):
        picture, unsaid = as_picture(values)
        axes.imshow(picture, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        return unsaid
    _draw_series(axes, values.reshape(1, -1))
    return " x ".join(map(str, values.shape)) if values.ndim > 1 else ""


def _draw_series(axes: Axes, values: Numbers) -> None:
    for channel, numbers in enumerate(values):
        axes.plot(numbers, color=SERIES[channel % len(SERIES)], linewidth=0.9)
    axes.set_xlim(0, max(values.shape[1] - 1, 1))
    axes.set_ylim(-0.04, 1.04)


def _draw_bars(axes: Axes, values: Numbers) -> None:
    axes.bar(np.arange(len(values)), values, color=SERIES[0], width=0.8)
    axes.set_xlim(-0.6, len(values) - 0.4)
    axes.set_ylim(0, 1.04)


def _note(axes: Axes, text: str) -> None:
    axes.text(
        0.5,
        1.01,
        text,
        transform=axes.transAxes,
        fontsize=5.5,
        color=FAINT,
        ha="center",
        va="bottom",
    )
