"""Figure of the classes that a model answers before and after a change of its inputs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from blackbox_am.errors import InvalidInput
from blackbox_am.plots.style import FAINT, GRID, INK, house_style, literal

_CELL = 0.42
_NAME = 18
OTHERS = "others"


def confusion(
    before: Sequence[int], after: Sequence[int], names: Sequence[str], *, most: int = 16
) -> Figure:
    """Count the inputs of each pair of classes, as a table with shades.

    Args:
        before, after: the class of each input before and after the change.
        names: the name of each class.
        most: greatest number of classes that are shown. If more occur, those with the most inputs
            are shown and all others are one row and column.

    Raises:
        InvalidInput: without an input, or if the lengths differ.
    """
    if not len(before) or len(before) != len(after):
        raise InvalidInput(
            "a confusion needs a class before and after for each input, and one input or more; got "
            f"{len(before)} and {len(after)}"
        )
    shown, texts = _classes(np.asarray([*before, *after]), names, most)
    counts = np.zeros((len(texts), len(texts)), np.int64)
    place = {number: row for row, number in enumerate(shown)}
    rows = [place.get(number, len(shown)) for number in before]
    columns = [place.get(number, len(shown)) for number in after]
    np.add.at(counts, (rows, columns), 1)
    size = 1.6 + _CELL * len(texts)
    with house_style():
        figure = Figure(figsize=(size, size * 0.92), facecolor="white", layout="constrained")
        axes = figure.subplots()
    _draw(axes, counts, texts)
    return figure


def _classes(
    occurring: NDArray[np.int64], names: Sequence[str], most: int
) -> tuple[list[int], list[str]]:
    """The classes to show, in order of their numbers, and the names of all rows."""
    numbers, counts = np.unique(occurring, return_counts=True)
    if len(numbers) > most:
        frequent = np.argsort(-counts, kind="stable")[: most - 1]
        numbers = np.sort(numbers[frequent])
    shown = numbers.tolist()
    texts = [names[number] if 0 <= number < len(names) else str(number) for number in shown]
    rest = [OTHERS] if len(np.unique(occurring)) > len(shown) else []
    return shown, [literal(_short(text)) for text in texts] + rest


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _NAME else line[: _NAME - 1] + "…"


def _draw(axes: Axes, counts: NDArray[np.int64], texts: Sequence[str]) -> None:
    largest = max(1, counts.max())
    axes.imshow(counts, cmap="Blues", vmin=0, vmax=largest * 1.15)
    for row, column in np.argwhere(counts):
        count = counts[row, column]
        colour = "white" if count > 0.6 * largest else INK
        axes.text(column, row, f"{count}", ha="center", va="center", color=colour, fontsize=8)
    axes.set_xticks(range(len(texts)), texts, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(texts)), texts)
    axes.tick_params(length=0)
    axes.set_xticks(np.arange(len(texts) + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(len(texts) + 1) - 0.5, minor=True)
    axes.grid(which="minor", color=GRID, linewidth=0.8)
    axes.tick_params(which="minor", length=0)
    axes.spines[:].set_color(GRID)
    axes.set_xlabel("answer to the adversarial input", color=FAINT)
    axes.set_ylabel("answer to the clean input", color=FAINT)
