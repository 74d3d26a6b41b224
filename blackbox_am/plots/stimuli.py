"""Drawing of one stimulus: a picture, a clip, channels, a time series or a table row."""

from __future__ import annotations

from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from blackbox_am.core.stimuli import Numbers, Stimulus, as_picture, in_unit_interval, is_series
from blackbox_am.plots.style import FAINT, GRID, SERIES

_BARS = 64

Scales = Literal["inside", "outside"]


def draw(
    axes: Axes, stimulus: Stimulus | None, *, words: bool = True, scales: Scales = "inside"
) -> None:
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
            the number of channels, and whether series and table rows have scales.
        scales: where the numbers of the scales of a series or a table row stand: `inside`, for a
            small drawing beside others, or `outside`, with names of the axes.
    """
    values = None if stimulus is None else in_unit_interval(stimulus)
    unsaid = "" if values is None else _draw(axes, values)
    if unsaid and words:
        _note(axes, unsaid)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_color(GRID)
    if values is not None and words and not axes.images:
        _scale(axes, values, scales)


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


def _scale(axes: Axes, values: Numbers, scales: Scales) -> None:
    """Scales of a series, whose axis is the time step, or of a table row."""
    steps = max(values.shape[-1] if is_series(values.shape) else values.size, 1)
    if scales == "outside":
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.set_yticks([0, 0.5, 1])
        axes.set_xlabel("feature" if values.ndim == 1 else "time step")
        axes.set_ylabel("value")
        return
    left, right = axes.get_xlim()
    axes.set_xlim(left - 0.1 * (right - left), right)  # room for the numbers
    axes.set_ylim(-0.24, 1.12)
    axes.grid(visible=True, axis="y", color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_xticks([0, steps - 1] if steps > 1 else [0])
    axes.set_yticks([0, 1])
    axes.tick_params(direction="in", length=2, width=0.6, labelsize=5.5, labelcolor=FAINT)
    axes.tick_params(axis="x", pad=-9)
    axes.tick_params(axis="y", pad=-7, length=0)
    labels = axes.get_xticklabels()
    labels[0].set_horizontalalignment("left")
    labels[-1].set_horizontalalignment("right")


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
