"""Tables of a report as plain texts, with numbers by which a reader can sort them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from blackbox_am.comparisons.numbers import Metrics
from blackbox_am.comparisons.report.wording import NONE
from blackbox_am.comparisons.results import ComparisonResult, Method


@dataclass(frozen=True)
class Cell:
    """A text, and what the column is sorted by.

    Attributes:
        text: the text.
        value: a number, or empty for a text; missing numbers come last.
        note: a second, fainter line.
        mark: `good`, `bad` or empty.
    """

    text: str
    value: str = ""
    note: str = ""
    mark: str = ""


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        name: its heading.
        number: whether it has numbers, which stand at the right.
        about: what the numbers are, in one sentence.
    """

    name: str
    number: bool = True
    about: str = ""


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        columns: C columns.
        rows: of C cells each.
    """

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]


def cell(text: str, value: float, *, note: str = "", mark: str = "") -> Cell:
    """A cell with a number."""
    sort = NONE if math.isnan(value) else "Infinity" if math.isinf(value) else f"{value!r}"
    return Cell(text, sort, note, mark)


def searched(result: ComparisonResult, found: Metrics) -> list[Method]:
    """The methods that have runs."""
    return [method for method in result.methods if method.name in found.by_method]
