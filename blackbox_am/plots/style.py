"""The style of all figures: greys, and colours that are easy to distinguish.

The colours are from Okabe and Ito, "Color Universal Design" (2008). They are distinct for
people with the common kinds of colour blindness, and in greyscale print.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK = "#1f2328"
FAINT = "#6e7781"
GRID = "#e3e6ea"

SERIES = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
"""Colours of the searches of a figure, in order."""

_PANEL = (5.6, 3.1)

_SETTINGS: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 9.0,
    "text.color": INK,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "savefig.facecolor": "white",
}


@contextmanager
def house_style() -> Iterator[None]:
    """Apply the style's settings inside the context, while a figure is created."""
    with mpl.rc_context(_SETTINGS):
        yield


def clean(axes: Axes) -> None:
    """Remove two spines of `axes` and add a faint grid."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(visible=True, color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=3, width=0.8)


def panel() -> tuple[Figure, Axes]:
    """A figure of the size of half a page with one pair of axes.

    The margins are fixed, which is twice as fast as to measure every text.
    """
    with house_style():
        figure = Figure(figsize=_PANEL, facecolor="white")
        axes = figure.subplots()
    figure.subplots_adjust(left=0.11, right=0.985, bottom=0.16, top=0.97)
    clean(axes)
    return figure, axes


def literal(text: str) -> str:
    """`text` with its dollar signs shown as they are, not read as the marks of a formula."""
    return text.replace("$", r"\$")
