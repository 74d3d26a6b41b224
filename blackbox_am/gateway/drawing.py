"""Stimuli as PNG: pictures enlarged without blur, series as lines, table rows as bars."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from blackbox_am.core.stimuli import Numbers, as_picture, in_unit_interval, kind_of

LEAST_SIZE = 8
MOST_SIZE = 1024
"""Range of the longer side of a picture, in pixels."""

_FINE = 3
"""Lines are drawn this many times larger and then made smaller, so that they are smooth."""
_PAPER = (255, 255, 255)
_COLOURS = ((0, 98, 155), (200, 80, 0), (0, 130, 90), (150, 60, 140), (120, 90, 0), (90, 90, 90))
_BARS = 64
"""Largest number of bars; longer table rows are drawn as a line."""
_MARGIN = 0.04


def png(stimulus: NDArray[np.generic], size: int) -> bytes:
    """A stimulus, uint8 or float in [0, 1], as a PNG file.

    Args:
        stimulus: (*stimulus,).
        size: the longer side in pixels. A picture is enlarged by a whole number, to `size` at most.
    """
    values = in_unit_interval(stimulus)
    kind = kind_of(values.shape)
    if kind == "image":
        image = _picture(as_picture(values)[0], size)
    elif kind == "series" or len(values) > _BARS:
        image = _lines(values.reshape(1, -1) if values.ndim != 2 else values, size)
    else:
        image = _bars(values, size)
    sink = io.BytesIO()
    image.save(sink, "PNG", compress_level=1)
    return sink.getvalue()


def _picture(pixels: Numbers, size: int) -> Image.Image:
    image = Image.fromarray(np.rint(255 * pixels).astype(np.uint8))
    longer = max(image.size)
    if longer > size:
        width, height = (max(1, round(side * size / longer)) for side in image.size)
        return image.resize((width, height), Image.Resampling.LANCZOS)
    times = size // longer
    width, height = (side * times for side in image.size)
    return image.resize((width, height), Image.Resampling.NEAREST)


def _lines(series: Numbers, size: int) -> Image.Image:
    """(channels, time) as one line for each channel, twice as wide as high."""
    width, height = size * _FINE, size * _FINE // 2
    image = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(image)
    across = np.linspace(_MARGIN * width, (1 - _MARGIN) * width, series.shape[1])
    for channel, numbers in enumerate(series):
        down = height * (1 - _MARGIN - (1 - 2 * _MARGIN) * numbers)
        points = list(zip(across.tolist(), down.tolist(), strict=True))
        colour = _COLOURS[channel % len(_COLOURS)]
        draw.line(points, colour, width=max(1, _FINE * size // 100), joint="curve")
    return image.resize((size, max(1, size // 2)), Image.Resampling.LANCZOS)


def _bars(values: Numbers, size: int) -> Image.Image:
    """(D,) as one bar for each number, twice as wide as high."""
    width, height = size, max(2, size // 2)
    image = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(image)
    step = width / max(len(values), 1)
    for place, value in enumerate(values.tolist()):
        left, right = place * step + 0.1 * step, (place + 1) * step - 0.1 * step
        top = (height - 1) * (1 - value)
        draw.rectangle((left, top, max(right, left), height - 1), _COLOURS[0])
    return image
