"""Controlled stimuli: gratings, squares and colours, each with one factor that is known."""

from __future__ import annotations

import colorsys
import math

import numpy as np
import torch

from blackbox_am.core.types import FloatArray

GREY = 0.5
ORIENTATIONS = 18
PHASES = 4
SQUARES = 8
HUES = 12
CONTRAST = 0.45


def orientations() -> FloatArray:
    """(18,) degrees from 0 to 170."""
    return np.arange(ORIENTATIONS) * 180.0 / ORIENTATIONS


def frequencies(shape: tuple[int, ...]) -> FloatArray:
    """Cycles in an image of `shape`, from 1 to a quarter of its shorter side, in half octaves."""
    highest = max(min(shape[1:]) / 4, 1.0)
    return np.asarray(2.0 ** np.arange(0, math.log2(highest) + 1e-9, 0.5), np.float64)


def gratings(shape: tuple[int, ...]) -> torch.Tensor:
    """(orientations, frequencies, phases, *shape): grey sine gratings.

    The orientation is that of the bars, in degrees from the horizontal, counter-clockwise.
    """
    height, width = shape[1:]
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    y, x = (height - 1) / 2 - y, x - (width - 1) / 2
    side = min(height, width)
    angles = torch.from_numpy(orientations() + 90).deg2rad()
    along = angles.cos()[:, None, None] * x + angles.sin()[:, None, None] * y
    cycles = torch.from_numpy(frequencies(shape))
    phases = torch.arange(PHASES, dtype=torch.float64) * 2 * math.pi / PHASES
    inner = (2 * math.pi / side) * cycles[:, None, None] * along[:, None]
    waves = (inner[:, :, None] + phases[:, None, None]).cos()
    whole = (GREY + CONTRAST * waves).float()[:, :, :, None]
    return whole.expand(-1, -1, -1, shape[0], -1, -1)


def squares(shape: tuple[int, ...]) -> torch.Tensor:
    """(2, 8, 8, *shape): a bright and a dark square on grey, at 8 x 8 positions."""
    height, width = shape[1:]
    found = torch.full((2, SQUARES, SQUARES, *shape), GREY)
    rows, columns = (np.linspace(0, n, SQUARES + 1).round().astype(int) for n in (height, width))
    for row in range(SQUARES):
        for column in range(SQUARES):
            place = (slice(rows[row], rows[row + 1]), slice(columns[column], columns[column + 1]))
            found[0, row, column, :, *place] = 1.0
            found[1, row, column, :, *place] = 0.0
    return found


def colours(shape: tuple[int, ...]) -> torch.Tensor:
    """(12, *shape): images of one colour, the hues of the circle from red, at equal value."""
    rows = [colorsys.hsv_to_rgb(hue / HUES, 0.9, 0.9) for hue in range(HUES)]
    return torch.tensor(rows)[:, :, None, None].expand(-1, -1, *shape[1:])
