"""Montages of stimuli: one column for each unit, one row for each search method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from blackbox_am.errors import InvalidInput
from blackbox_am.plots.stimuli import draw
from blackbox_am.plots.style import FAINT, INK, SERIES, house_style

Picture = NDArray[np.generic]

_CELL = 1.18
_GAP = 0.14
_CAPTION = 0.27
_ROW_LABEL = 1.15
_TITLE = 0.50
_HEADING = 0.42
_MARGIN = 0.14


@dataclass(frozen=True)
class Row:
    """One row of a montage.

    Attributes:
        label: name of the row.
        pictures: one stimulus for each column, of any shape, float in [0, 1] or uint8;
            `plots.stimuli.draw` describes how it is drawn. None draws an empty frame.
        scores: numbers below the pictures; None draws no numbers.
    """

    label: str
    pictures: Sequence[Picture | None]
    scores: Sequence[float] | None = None


def montage(
    rows: Sequence[Row],
    titles: Sequence[str],
    *,
    heading: str = "",
    columns: int = 12,
) -> Figure:
    """Draw pictures in a grid, enlarged without smoothing; the best score of a column is bold.

    If there are more than `columns` titles, the grid continues in further bands of rows.

    Args:
        rows: rows of the montage, from top to bottom.
        titles: title of each column; a second line has a smaller font.
        heading: text above the grid.
        columns: largest number of pictures in a row.

    Raises:
        InvalidInput: if there is no row or no title, or if a row has another length.
    """
    if not rows or not titles:
        raise InvalidInput("a montage needs at least one row and one column")
    for row in rows:
        if len(row.pictures) != len(titles) or len(row.scores or titles) != len(titles):
            raise InvalidInput(
                f"row {row.label!r}: expected {len(titles)} pictures, one for each title, and as "
                f"many scores or none; got {len(row.pictures)} and {len(row.scores or ())}"
            )
    width = min(columns, len(titles))
    bands = -(-len(titles) // width)
    return _Grid(rows, titles, width, bands, heading).draw()


@dataclass(frozen=True)
class _Grid:
    """Positions of all parts, in inches from the top left."""

    rows: Sequence[Row]
    titles: Sequence[str]
    width: int
    bands: int
    heading: str

    @property
    def _row_height(self) -> float:
        captions = any(row.scores is not None for row in self.rows)
        return _CELL + (_CAPTION if captions else _GAP)

    @property
    def _band_height(self) -> float:
        return _TITLE + len(self.rows) * self._row_height + _GAP

    @property
    def _top(self) -> float:
        return _MARGIN + (_HEADING if self.heading else 0.0)

    @property
    def _size(self) -> tuple[float, float]:
        width = _MARGIN + _ROW_LABEL + self.width * (_CELL + _GAP) + _MARGIN
        return width, self._top + self.bands * self._band_height + _MARGIN

    def draw(self) -> Figure:
        with house_style():
            figure = Figure(figsize=self._size, facecolor="white")
            if self.heading:
                self._text(figure, _MARGIN, _MARGIN + 0.12, self.heading, size=11.5, ha="left")
            for band in range(self.bands):
                self._draw_labels(figure, band)
            for index in range(len(self.titles)):
                self._draw_column(figure, index)
        return figure

    def _draw_labels(self, figure: Figure, band: int) -> None:
        for place, row in enumerate(self.rows):
            top = self._top + band * self._band_height + _TITLE + place * self._row_height
            middle = top + _CELL / 2
            right = _MARGIN + _ROW_LABEL - 0.12
            colour = SERIES[0] if place == 0 and len(self.rows) > 1 else INK
            self._text(
                figure, right, middle, row.label, size=9.5, ha="right", color=colour, weight="bold"
            )

    def _draw_column(self, figure: Figure, index: int) -> None:
        band, column = divmod(index, self.width)
        left = _MARGIN + _ROW_LABEL + column * (_CELL + _GAP)
        top = self._top + band * self._band_height
        middle = left + _CELL / 2
        name, _, label = self.titles[index].partition("\n")
        two_lines = any("\n" in title for title in self.titles)
        at = top + (0.14 if two_lines else 0.33)
        self._text(figure, middle, at, name, size=8.5, weight="bold")
        if label:
            self._text(figure, middle, top + 0.33, label, size=8, color=FAINT)
        scores = [row.scores[index] for row in self.rows if row.scores is not None]
        best = np.nanmax(scores) if len(scores) > 1 and not np.isnan(scores).all() else None
        for place, row in enumerate(self.rows):
            y = top + _TITLE + place * self._row_height
            self._draw_picture(figure, left, y, row.pictures[index])
            if row.scores is not None:
                score = row.scores[index]
                bold = best is not None and score == best
                self._text(
                    figure,
                    middle,
                    y + _CELL + 0.11,
                    f"{score:.2f}" if abs(score) < 1000 else f"{score:.3g}",
                    size=8,
                    color=INK if bold else FAINT,
                    weight="bold" if bold else "normal",
                )

    def _draw_picture(self, figure: Figure, left: float, top: float, found: Picture | None) -> None:
        width, height = self._size
        axes: Axes = figure.add_axes(
            (left / width, 1 - (top + _CELL) / height, _CELL / width, _CELL / height)
        )
        draw(axes, found)

    def _text(
        self,
        figure: Figure,
        x: float,
        y: float,
        text: str,
        *,
        size: float,
        ha: str = "center",
        color: str = INK,
        weight: str = "normal",
    ) -> None:
        width, height = self._size
        figure.text(
            x / width,
            1 - y / height,
            text,
            fontsize=size,
            ha=ha,
            va="center",
            color=color,
            fontweight=weight,
        )
