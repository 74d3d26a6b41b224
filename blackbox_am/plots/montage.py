"""Montages of stimuli: one column for each unit, one row for each search method."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from blackbox_am.errors import InvalidInput
from blackbox_am.plots.names import legend_of, short_names, shortened
from blackbox_am.plots.stimuli import draw
from blackbox_am.plots.style import FAINT, INK, SERIES, house_style, literal

Picture = NDArray[np.generic]

_CELL = 1.18
_GAP = 0.14
_CAPTION = 0.27
_TITLE, _LABEL = 0.30, 0.19
_HEADING = 0.32
_NOTE = 0.24
_MARGIN = 0.14
_NAME_LINE = 0.13
_ROW_CHARACTER = 0.082
_NAME_CHARACTER = 0.0535
"""Widths of a character of a row's name and of a name below the grid, in inches."""
_TITLE_CHARACTERS, _LARGE_TITLE = 20, 14
"""Characters of a title in the smaller and in the larger font."""


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
    note: str = "",
    columns: int = 12,
    figure: Figure | None = None,
) -> Figure:
    """Draw pictures in a grid, enlarged without smoothing; the best score of a column is bold.

    If there are more than `columns` titles, the grid continues in further bands of rows. Long
    titles are shortened in the middle, and stand whole below the grid. The name of a single row is
    left out.

    Args:
        rows: rows of the montage, from top to bottom.
        titles: title of each column; a second line has a smaller font.
        heading: text above the grid.
        note: small text below the heading, such as study, model and seed.
        columns: largest number of pictures in a row.
        figure: an empty figure to draw into, which gets the size of the grid; a new one if None.

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
    with house_style():
        figure = Figure() if figure is None else figure
        _Grid(rows, titles, width, bands, heading, note).draw(figure)
    return figure


@dataclass(frozen=True)
class _Grid:
    """Positions of all parts, in inches from the top left."""

    rows: Sequence[Row]
    titles: Sequence[str]
    width: int
    bands: int
    heading: str
    note: str

    @cached_property
    def _names(self) -> list[str]:
        return [title.partition("\n")[0] for title in self.titles]

    @cached_property
    def _short(self) -> list[str]:
        return short_names(self._names, _TITLE_CHARACTERS)

    @cached_property
    def _legend(self) -> list[str]:
        return legend_of(self._names, self._short)

    @cached_property
    def _below(self) -> list[str]:
        """The whole names of shortened titles, in lines that fit below the grid."""
        room = max(20, int((self._size_without_names[0] - 2 * _MARGIN) / _NAME_CHARACTER))
        return [
            part
            for line in self._legend
            for part in textwrap.wrap(line, room, subsequent_indent="  ")
        ]

    @property
    def _row_label(self) -> float:
        """Width of the names of the rows, which a single row does not need."""
        if len(self.rows) == 1:
            return 0.0
        return 0.16 + _ROW_CHARACTER * max(len(row.label) for row in self.rows)

    @property
    def _row_height(self) -> float:
        captions = any(row.scores is not None for row in self.rows)
        return _CELL + (_CAPTION if captions else _GAP)

    @cached_property
    def _title_height(self) -> float:
        return _TITLE + _LABEL * any("\n" in title for title in self.titles)

    @property
    def _band_height(self) -> float:
        return self._title_height + len(self.rows) * self._row_height + _GAP

    @property
    def _top(self) -> float:
        return _MARGIN + _HEADING * bool(self.heading) + _NOTE * bool(self.note)

    @property
    def _size_without_names(self) -> tuple[float, float]:
        grid = self._row_label + self.width * (_CELL + _GAP) - _GAP
        names = max(map(len, self._legend), default=0)
        texts = max(0.082 * len(self.heading), 0.06 * len(self.note), _NAME_CHARACTER * (names + 1))
        width = 2 * _MARGIN + max(grid, min(texts, 6.0))
        return width, self._top + self.bands * self._band_height + _MARGIN - _GAP

    @cached_property
    def _size(self) -> tuple[float, float]:
        width, height = self._size_without_names
        return width, height + _NAME_LINE * (len(self._below) + bool(self._below))

    def draw(self, figure: Figure) -> None:
        figure.set_size_inches(*self._size)
        figure.set_facecolor("white")
        characters = int((self._size[0] - 2 * _MARGIN) / 0.06)
        if self.heading:
            text = shortened(self.heading, int(characters * 0.72))
            self._text(figure, _MARGIN, _MARGIN + 0.1, text, size=11.5, ha="left")
        if self.note:
            text = shortened(self.note, characters)
            self._text(figure, _MARGIN, self._top - 0.13, text, size=7.5, ha="left", color=FAINT)
        for band in range(self.bands if len(self.rows) > 1 else 0):
            self._draw_labels(figure, band)
        for index in range(len(self.titles)):
            self._draw_column(figure, index)
        top = self._size_without_names[1]
        for place, line in enumerate(self._below):
            y = top + _NAME_LINE * (place + 0.5)
            self._text(figure, _MARGIN, y, line, size=6.5, ha="left", color=FAINT)

    def _draw_labels(self, figure: Figure, band: int) -> None:
        for place, row in enumerate(self.rows):
            top = (
                self._top + band * self._band_height + self._title_height + place * self._row_height
            )
            middle = top + _CELL / 2
            right = _MARGIN + self._row_label - 0.12
            colour = SERIES[0] if place == 0 and len(self.rows) > 1 else INK
            self._text(
                figure, right, middle, row.label, size=9.5, ha="right", color=colour, weight="bold"
            )

    def _draw_column(self, figure: Figure, index: int) -> None:
        band, column = divmod(index, self.width)
        left = _MARGIN + self._row_label + column * (_CELL + _GAP)
        top = self._top + band * self._band_height
        middle = left + _CELL / 2
        name, (_, _, label) = self._short[index], self.titles[index].partition("\n")
        at = top + 0.14
        size = 8.5 if len(name) <= _LARGE_TITLE else 6.6
        self._text(figure, middle, at, name, size=size, weight="bold")
        if label:
            label = shortened(label, _TITLE_CHARACTERS)
            size = 8.0 if len(label) <= _LARGE_TITLE + 2 else 6.6
            self._text(figure, middle, top + 0.33, label, size=size, color=FAINT)
        scores = [row.scores[index] for row in self.rows if row.scores is not None]
        best = np.nanmax(scores) if len(scores) > 1 and not np.isnan(scores).all() else None
        for place, row in enumerate(self.rows):
            y = top + self._title_height + place * self._row_height
            self._draw_picture(figure, left, y, row.pictures[index])
            if row.scores is not None:
                score = row.scores[index]
                bold = best is not None and score == best
                self._text(
                    figure,
                    middle,
                    y + _CELL + 0.11,
                    _number(score),
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
            literal(text),
            fontsize=size,
            ha=ha,
            va="center",
            color=color,
            fontweight=weight,
        )


def _number(score: float) -> str:
    """A score in a few characters; a dash if there is none."""
    if math.isnan(score):
        return "-"
    return f"{score:.2f}" if abs(score) < 1000 else f"{score:.3g}"
