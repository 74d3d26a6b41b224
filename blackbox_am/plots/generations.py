"""The scores of the generations of one search."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from blackbox_am.core.types import FloatArray
from blackbox_am.plots.names import shortened
from blackbox_am.plots.style import INK, SERIES, clean, literal


def draw_generations(
    axes: Axes, numbers: NDArray[np.int64], scores: Sequence[FloatArray], title: str
) -> None:
    """Draw the best score, the median and the middle half of the scores of each generation.

    Args:
        axes: axes to draw into.
        numbers: (G,) numbers of the generations.
        scores: for each generation (rows,), nan for rows without a score.
        title: title of the axes.
    """
    clean(axes)
    known = [part[~np.isnan(part)] for part in scores]
    drawn = np.array([len(part) > 0 for part in known])
    found = [np.quantile(part, [0.25, 0.5, 0.75, 1.0]) for part in known if len(part)]
    low, middle, high, best = np.array(found).reshape(-1, 4).T
    at = numbers[drawn]
    colour = SERIES[0]
    axes.fill_between(at, low, high, color=colour, alpha=0.2, linewidth=0, label="middle half")
    axes.plot(at, middle, color=colour, linewidth=1.8, label="median")
    axes.plot(at, best, color=INK, linewidth=1.0, label="best", drawstyle="steps-mid")
    axes.set_title(literal(shortened(title, 60)), fontsize=9, color=INK, loc="left")
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.set_xlabel("generation")
    axes.set_ylabel("score")
    axes.margins(x=0.01)
    axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.03))
