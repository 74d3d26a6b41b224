"""The hierarchy of a network: one row for each layer, the best stimulus of each unit in it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from blackbox_am.errors import InvalidInput
from blackbox_am.plots.montage import Picture
from blackbox_am.plots.names import legend_of, short_names, shortened
from blackbox_am.plots.stimuli import draw
from blackbox_am.plots.style import FAINT, GRID, INK, SERIES, house_style, literal

_CELL = 1.18
_GAP = 0.16
_CAPTION = 0.40
_LABEL = 1.55
_MARGIN = 0.22
_HEADING = 0.36
_BETWEEN = 0.45
_NAME_LINE = 0.13
_WIDEST_TEXT = 8.0
"""Largest width that texts alone give a figure, in inches; longer texts are shortened."""
_WIDEST = 6
"""Pictures in a line."""
_NAME_CHARACTERS = 21
_ADDRESS_CHARACTERS = 23
_LARGE_NAME, _LARGE_ADDRESS = 15, 17
"""Characters of names and addresses in the larger font."""


@dataclass(frozen=True)
class FoundUnit:
    """What a search has found for one unit.

    Attributes:
        address: of the unit, such as `layer2:9`.
        picture: its best stimulus; None draws an empty frame.
        score: its score.
        label: the unit's name, such as that of a class; empty if it has none.
    """

    address: str
    picture: Picture | None
    score: float
    label: str = ""


@dataclass(frozen=True)
class LayerRow:
    """One layer.

    Attributes:
        name: of the layer.
        units: its units, one or more.
        note: small text below the name, such as the shape of the layer.
    """

    name: str
    units: Sequence[FoundUnit]
    note: str = ""


def hierarchy(
    rows: Sequence[LayerRow], *, heading: str = "", note: str = "", rows_per_column: int = 10
) -> Figure:
    """Draw the layers of a network from the first at the top to the last at the bottom.

    More than `rows_per_column` layers continue in further columns, as in a newspaper, to the right.
    A row has as many pictures as the layer has units here, 6 at most in a line.

    Args:
        rows: the layers, in the order of the computation.
        heading: text above the figure.
        note: small text below the heading.
        rows_per_column: largest number of lines in one column.

    Raises:
        InvalidInput: if there is no layer, or a layer without units.
    """
    if not rows or not all(row.units for row in rows):
        raise InvalidInput("a hierarchy needs at least one layer, and each layer at least one unit")
    lines = [line for row in rows for line in _lines(row)]
    columns = math.ceil(len(lines) / rows_per_column)
    return _Page(rows, lines, math.ceil(len(lines) / columns), heading, note).draw()


@dataclass(frozen=True)
class _Line:
    """Units of a layer that stand side by side; `first` are those beside the layer's name."""

    row: LayerRow
    units: Sequence[FoundUnit]
    first: bool


def _lines(row: LayerRow) -> list[_Line]:
    starts = range(0, len(row.units), _WIDEST)
    return [_Line(row, row.units[at : at + _WIDEST], at == 0) for at in starts]


@dataclass(frozen=True)
class _Page:
    """Positions of all parts, in inches from the top left."""

    rows: Sequence[LayerRow]
    lines: Sequence[_Line]
    height: int
    heading: str
    note: str

    @property
    def _width(self) -> int:
        return max(len(line.units) for line in self.lines)

    @property
    def _column(self) -> float:
        return _LABEL + self._width * (_CELL + _GAP) - _GAP

    @property
    def _top(self) -> float:
        return _MARGIN + _HEADING * bool(self.heading) + 0.22 * bool(self.note)

    @property
    def _size(self) -> tuple[float, float]:
        columns = math.ceil(len(self.lines) / self.height)
        grid = columns * self._column + (columns - 1) * _BETWEEN
        texts = max(0.105 * len(self.heading), 0.062 * len(self.note), 0.052 * self._longest)
        width = 2 * _MARGIN + max(grid, min(texts, _WIDEST_TEXT))
        names = _NAME_LINE * (len(self._names_below) + bool(self._names_below))
        return width, self._names_top + names + _MARGIN

    @property
    def _names_top(self) -> float:
        return self._top + self.height * (_CELL + _CAPTION)

    @cached_property
    def _short(self) -> dict[str, str]:
        """The short form of each name of a layer and each address."""
        layers = [row.name for row in self.rows]
        units = [unit.address for row in self.rows for unit in row.units]
        short = dict(zip(units, short_names(units, _ADDRESS_CHARACTERS), strict=True))
        return short | dict(zip(layers, short_names(layers, _NAME_CHARACTERS), strict=True))

    @cached_property
    def _names_below(self) -> list[str]:
        """The whole names of what is shortened."""
        return legend_of(list(self._short), list(self._short.values()))

    @property
    def _longest(self) -> int:
        return max(map(len, self._names_below), default=0)

    def draw(self) -> Figure:
        with house_style():
            figure = Figure(figsize=self._size, facecolor="white")
            width = self._size[0] - 2 * _MARGIN
            if self.heading:
                text = shortened(self.heading, int(width / 0.1))
                self._text(figure, _MARGIN, _MARGIN + 0.1, text, size=12.5, weight="bold")
            if self.note:
                text = shortened(self.note, int(width / 0.06))
                self._text(figure, _MARGIN, self._top - 0.16, text, size=8.5, color=FAINT)
            for place, line in enumerate(self.lines):
                column, level = divmod(place, self.height)
                left = _MARGIN + column * (self._column + _BETWEEN)
                self._draw_line(figure, line, left, self._top + level * (_CELL + _CAPTION))
            room = int((self._size[0] - 2 * _MARGIN) / 0.05)
            for place, name in enumerate(self._names_below):
                at = self._names_top + _NAME_LINE * (place + 1)
                self._text(figure, _MARGIN, at, shortened(name, room), size=6.5, color=FAINT)
        return figure

    def _draw_line(self, figure: Figure, line: _Line, left: float, top: float) -> None:
        if line.first:
            self._draw_name(figure, line.row, left, top)
        for place, unit in enumerate(line.units):
            at = left + _LABEL + place * (_CELL + _GAP)
            width, height = self._size
            axes = figure.add_axes(
                (at / width, 1 - (top + 0.08 + _CELL) / height, _CELL / width, _CELL / height)
            )
            draw(axes, unit.picture)
            middle, below = at + _CELL / 2, top + 0.08 + _CELL
            size = 7.0 if len(unit.address) <= _LARGE_ADDRESS else 5.8
            address = self._short[unit.address]
            self._text(figure, middle, below + 0.09, address, size=size, color=FAINT, ha="center")
            score = f"{unit.score:#.3g}" if abs(unit.score) < 1000 else f"{unit.score:,.0f}"
            text = f"{unit.label}  {score}" if unit.label else score
            self._text(figure, middle, below + 0.215, text, size=8, weight="bold", ha="center")

    def _draw_name(self, figure: Figure, row: LayerRow, left: float, top: float) -> None:
        """A rule above the layer, and its name at the left of its pictures."""
        width, height = self._size
        y = 1 - top / height
        rule = Line2D(
            [left / width, (left + self._column) / width],
            [y, y],
            color=GRID,
            linewidth=0.9,
            transform=figure.transFigure,
        )
        figure.add_artist(rule)
        name = self._short[row.name]
        size = 9.5 if len(name) <= _LARGE_NAME else 7.4
        middle = top + 0.08 + _CELL / 2
        self._text(figure, left, middle - 0.09, name, size=size, weight="bold", color=SERIES[0])
        if row.note:
            self._text(figure, left, top + 0.08 + _CELL / 2 + 0.11, row.note, size=7.5, color=FAINT)

    def _text(
        self,
        figure: Figure,
        x: float,
        y: float,
        text: str,
        *,
        size: float,
        color: str = INK,
        weight: str = "normal",
        ha: str = "left",
    ) -> None:
        width, height = self._size
        figure.text(
            x / width,
            1 - y / height,
            literal(text),
            fontsize=size,
            color=color,
            fontweight=weight,
            ha=ha,
            va="center",
        )
