"""Figures of a result, drawn into the caller's axes or into a new figure."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from blackbox_am.core.types import Best
from blackbox_am.errors import InvalidInput
from blackbox_am.results.notebooks import in_notebook

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from blackbox_am.results.reported import Reported
    from blackbox_am.results.result import Result

_SIZE = (5.6, 3.2)
_DRAWN_TARGETS = 48
"""Number of targets in a picture of the best stimuli, if the caller chooses none."""


class Figures:
    """Figures of a result. Each method returns axes of matplotlib, whose figure can be changed and
    saved: ``result.plot.convergence().get_figure().savefig("found.pdf")``.

    In a notebook, or if pyplot is in use, new figures are those of pyplot, so that they are shown.

    Args:
        reported: the result, or a study on a server.
    """

    def __init__(self, reported: Reported) -> None:
        self._result = reported.result()

    def __call__(self, **options: Any) -> Axes:
        """As `convergence`."""
        return self.convergence(**options)

    def convergence(self, *, targets: Sequence[int] = (), axes: Axes | None = None) -> Axes:
        """The best score against the number of queries, one line for each target; for more than 6
        targets their median, with a band from the first to the third quartile.

        Args:
            targets: only these targets; all if empty.
            axes: axes to draw into; a new figure if None.

        Raises:
            InvalidInput: for an unknown target, or before the first measurement.
        """
        from blackbox_am.plots.convergence import curves
        from blackbox_am.plots.overlay import draw_convergence

        known = self._result.progress.targets
        chosen = self._chosen(targets)
        found = curves(self._result.history, len(known))
        if not any(len(found[target].queries) for target in chosen):
            raise InvalidInput(self._nothing())
        axes = axes or _new_axes()
        places = [known[target].natural for target in chosen]
        draw_convergence(
            axes,
            [found[target] for target in chosen],
            [known[target].title for target in chosen],
            levels=[math.nan if place is None else place.maximum for place in places],
        )
        return axes

    def scores(self, *, target: int = 0, axes: Axes | None = None) -> Axes:
        """The scores of each generation of one target: their median, the middle half, the best.

        Args:
            target: the target.
            axes: axes to draw into; a new figure if None.

        Raises:
            InvalidInput: for an unknown target, or before the first measurement.
        """
        from blackbox_am.plots.generations import draw_generations

        self._chosen([target])
        numbers, scores = [], []
        for part in self._result.history:
            if target in part.targets:
                numbers.append(part.generation)
                scores.append(part.scores[part.targets.index(target)])
        if not numbers:
            raise InvalidInput(self._nothing())
        axes = axes or _new_axes()
        title = self._result.progress.targets[target].title
        draw_generations(axes, np.array(numbers), scores, title)
        return axes

    def best(self, *, targets: Sequence[int] = (), columns: int = 8) -> list[Axes]:
        """The best stimulus of each target with its score, and below it the best natural image if
        the study has a baseline.

        Args:
            targets: only these targets; the first 48 if empty, and the figure says so.
            columns: largest number of stimuli in a row.

        Returns:
            The axes of the stimuli, by target; all of one figure.

        Raises:
            InvalidInput: for an unknown target, or if there are no stimuli.
        """
        from blackbox_am.plots.montage import montage
        from blackbox_am.results.montages import heading_of, note_of, rows_of

        chosen = set(self._chosen(targets)[: len(targets) or _DRAWN_TARGETS])
        found: list[Best] = [
            best
            for best in self._result.best
            if best.target in chosen and best.stimulus is not None
        ]
        if not found:
            raise InvalidInput("; ".join(self._result.notes) or self._nothing())
        titles = [best.title for best in found]
        part = "" if targets else drawn_part(self._result)
        figure = montage(
            rows_of(found),
            titles,
            heading=heading_of(self._result),
            note=" · ".join(filter(None, [note_of(self._result), part])),
            columns=columns,
            figure=_new_figure(),
        )
        return list(figure.axes)

    def _chosen(self, targets: Sequence[int]) -> list[int]:
        known = len(self._result.progress.targets)
        for target in targets:
            if not 0 <= target < known:
                raise InvalidInput(
                    f"targets: the study has targets 0 to {known - 1}, got {target}",
                    field="targets",
                )
        return list(targets) or list(range(known))

    def _nothing(self) -> str:
        return (
            f"study {self._result.progress.study_id!r} has no measurement yet, so there is nothing "
            "to draw; try again later"
        )


def drawn_part(result: Result) -> str:
    """Which targets a picture of the best stimuli has where none are chosen; empty for all."""
    known = len(result.progress.targets)
    return "" if known <= _DRAWN_TARGETS else f"first {_DRAWN_TARGETS} of {known} targets"


def _new_axes() -> Axes:
    from blackbox_am.plots.style import house_style

    with house_style():
        figure = _new_figure()
        figure.set_size_inches(*_SIZE)
        figure.set_layout_engine("constrained")
        return figure.subplots()


def _new_figure() -> Figure:
    """A figure of pyplot where pyplot or a notebook shows it; else one that nobody else keeps."""
    if "matplotlib.pyplot" in sys.modules or in_notebook():
        from matplotlib import pyplot as plt

        return plt.figure(facecolor="white")
    from matplotlib.figure import Figure

    return Figure(facecolor="white")
