"""Figure of the accuracy that is left under attack, against the size of the ball."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from blackbox_am.core.types import FloatArray
from blackbox_am.errors import InvalidInput
from blackbox_am.plots.style import SERIES, literal, panel

_MARKS = 10


@dataclass(frozen=True)
class Robustness:
    """Robust accuracy of one model under one attack in balls of several sizes.

    Attributes:
        name: name of the attack in the legend.
        eps: (M,) sizes of the ball, ascending; 0 is the accuracy on clean inputs.
        accuracy: (M,) share of inputs in [0, 1].
        low, high: (M,) limits of the interval of each share.
    """

    name: str
    eps: FloatArray
    accuracy: FloatArray
    low: FloatArray
    high: FloatArray


def robustness(
    attacks: Sequence[Robustness], *, label: str = "eps", ticks: Sequence[str] | None = None
) -> Figure:
    """Plot robust accuracy with intervals against eps; one line for each attack.

    Args:
        attacks: the lines.
        label: name of the axis of eps, with its unit.
        ticks: text of each eps of all lines, ascending and without repeats; numbers if None.

    Raises:
        InvalidInput: without an attack, or if there are not as many texts as different eps.
    """
    if not attacks:
        raise InvalidInput("a figure of robustness needs at least one attack")
    sizes = np.unique(np.concatenate([one.eps for one in attacks]))
    texts = [f"{size:g}" for size in sizes] if ticks is None else list(ticks)
    if len(texts) != len(sizes):
        raise InvalidInput(f"ticks: expected {len(sizes)}, one for each eps, got {len(texts)}")
    figure, axes = panel()
    for place, one in enumerate(attacks):
        axes.errorbar(
            one.eps,
            100 * one.accuracy,
            yerr=100 * np.maximum(0, [one.accuracy - one.low, one.high - one.accuracy]),
            color=SERIES[place % len(SERIES)],
            marker="o",
            markersize=4,
            capsize=3,
            linewidth=1.8,
            elinewidth=1.0,
            label=literal(one.name),
        )
    shown = slice(None, None, -(-len(sizes) // _MARKS))
    axes.set_xticks(sizes[shown], texts[shown])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_ylim(-3, 103)
    axes.set_xlabel(literal(label))
    axes.set_ylabel("correct and not fooled, %")
    axes.legend(frameon=False, fontsize=8, loc="best")
    return figure
