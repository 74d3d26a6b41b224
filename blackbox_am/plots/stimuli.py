"""Drawing of one stimulus: a picture, a clip, channels, a time series or a table row."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from blackbox_am.plots.style import FAINT, GRID, SERIES

Stimulus = NDArray[np.generic]
Numbers = NDArray[np.float32]

_FRAMES = 9
_TILES = 16
_BARS = 64
_WIDE = 4
"""A stimulus of two axes is a series if the second is at least this many times the first."""


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


def is_series(shape: tuple[int, ...]) -> bool:
    """Whether a stimulus of two axes is (channels, time) and not (height, width)."""
    return len(shape) == 2 and shape[1] >= _WIDE * shape[0]


def in_unit_interval(stimulus: Stimulus) -> Numbers:
    """The stimulus as float32 in [0, 1]; nan becomes 0."""
    scale = 255 if stimulus.dtype == np.uint8 else 1
    return np.clip(np.nan_to_num(stimulus.astype(np.float32) / scale), 0.0, 1.0)


def as_picture(values: Numbers) -> tuple[Numbers, str]:
    """A picture (H, W) or (H, W, 3) of a stimulus with two to four axes, and a note.

    Channels or frames become tiles in reading order, with white gaps. The note says what the
    picture does not show.
    """
    if values.ndim == 2:
        return values, ""
    if values.ndim == 3 and len(values) in (1, 3):
        return _channels_last(values), ""
    if values.ndim == 3:
        shown = values[:_TILES]
        more = f", first {_TILES}" if len(values) > _TILES else ""
        return _tiled(list(shown)), f"{len(values)} channels{more}"
    frames, channels = values.shape[:2]
    times = np.unique(np.linspace(0, frames - 1, min(frames, _FRAMES)).round().astype(int))
    drawn = values if channels in (1, 3) else values.mean(1, keepdims=True)
    what = f"{frames} frames"
    if len(times) < frames:
        what += f", {len(times)} of them"
    if channels not in (1, 3):
        what += f", mean of {channels} channels"
    return _tiled([_channels_last(drawn[time]) for time in times]), what


def _channels_last(picture: Numbers) -> Numbers:
    return picture[0] if len(picture) == 1 else np.moveaxis(picture, 0, -1)


def _tiled(tiles: list[Numbers]) -> Numbers:
    """Arrange equal tiles (H, W) or (H, W, 3) in rows, as close to a square as possible."""
    height, width = tiles[0].shape[:2]
    columns = min(len(tiles), max(1, math.ceil(math.sqrt(len(tiles) * height / width))))
    lines = -(-len(tiles) // columns)
    gap = max(1, round(max(height, width) / 16))
    size = (lines * (height + gap) - gap, columns * (width + gap) - gap, *tiles[0].shape[2:])
    canvas = np.ones(size, np.float32)
    for index, tile in enumerate(tiles):
        line, column = divmod(index, columns)
        top, left = line * (height + gap), column * (width + gap)
        canvas[top : top + height, left : left + width] = tile
    return canvas


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
