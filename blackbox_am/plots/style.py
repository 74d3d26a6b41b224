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

INK = "#1f2328"
FAINT = "#6e7781"
GRID = "#e3e6ea"

SERIES = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
"""Colours of the searches of a figure, in order."""

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
