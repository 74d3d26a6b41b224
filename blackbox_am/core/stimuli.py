"""What a stimulus is, by its shape: a picture, a time series or a table row; and its picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Stimulus = NDArray[np.generic]
Numbers = NDArray[np.float32]
Kind = Literal["image", "series", "table"]

_FRAMES = 9
_TILES = 16
_WIDE = 4
"""A stimulus of two axes is a series if the second is at least this many times the first."""


def kind_of(shape: Sequence[int]) -> Kind:
    """What a stimulus of this shape is drawn as: (D,) is a table row, (channels, time) a series,
    and two to four other axes are an image; more axes are drawn as one series.
    """
    if len(shape) <= 1:
        return "table"
    return "series" if is_series(tuple(shape)) or len(shape) > 4 else "image"


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
