"""What every analysis returns: data, a figure, and a page."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from blackbox_am.analysis.writing import write_folder
from blackbox_am.core.types import Accounting
from blackbox_am.reports import data_uri, figure_svg, render

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class TableOfNumbers:
    """A table of a page.

    Attributes:
        title: what it shows.
        columns: headings; the first column has names.
        rows: texts and numbers, one a column.
        note: a sentence below the table; may be empty.
    """

    title: str
    columns: tuple[str, ...]
    rows: Sequence[Sequence[object]]
    note: str = ""


@dataclass(frozen=True)
class Drawn:
    """A figure of a page.

    Attributes:
        figure: the figure.
        text: what it shows, in one or two sentences.
    """

    figure: Figure
    text: str


@dataclass(frozen=True, kw_only=True)
class Analysis(ABC):
    """The result of an analysis.

    Attributes:
        method: its name, as in `blackbox-am analyse METHOD`.
        subject: what was analysed, such as the address of a unit.
        model: the oracle in a few words.
        parameters: what the method was told.
        spent: account of the oracle's calls: equal to what the oracle served.
        notes: what a reader must know before the numbers; often empty.
    """

    method: str
    subject: str
    model: str
    parameters: Mapping[str, object] = field(default_factory=dict)
    spent: Accounting = field(default_factory=Accounting)
    notes: tuple[str, ...] = ()

    @abstractmethod
    def data(self) -> Arrays:
        """The arrays of the result by name."""

    @abstractmethod
    def plot(self) -> Figure:
        """The main figure."""

    @abstractmethod
    def lead(self) -> list[str]:
        """What was found, in one to three sentences."""

    def figures(self) -> list[Drawn]:
        """The figures of the page."""
        return [Drawn(self.plot(), "")]

    def tables(self) -> list[TableOfNumbers]:
        """The tables of the page."""
        return []

    def page(self) -> str:
        """The result as an HTML page that needs no other file."""
        return render(
            "analysis.html",
            title=f"{self.method}: {self.subject}",
            subtitle=self.model,
            lead=self.lead(),
            notes=self.notes,
            figures=[
                {"uri": data_uri(figure_svg(one.figure)), "text": one.text}
                for one in self.figures()
            ],
            strips=(),
            tables_of_numbers=self.tables_in_words(),
            parameters=[(name, in_words(value)) for name, value in self.parameters.items()],
            spent=cost_in_words(self.spent),
        )  # fmt: skip

    def tables_in_words(self) -> list[dict[str, object]]:
        """The tables as texts for a template."""
        return [
            {"title": one.title, "columns": one.columns, "note": one.note,
             "rows": [[in_words(cell) for cell in row] for row in one.rows]}
            for one in self.tables()
        ]  # fmt: skip

    def save(self, folder: Path | str) -> Path:
        """Write the page, `data.npz` and `plot.png` into `folder`.

        Returns:
            The path of the page.

        Raises:
            InvalidInput: if the folder cannot be written.
        """
        return write_folder(Path(folder), self.page(), self.data(), self.plot())


def cost_in_words(spent: Accounting) -> str:
    """What an analysis cost, in a sentence."""
    text = f"The oracle served {spent.rows:,} rows in {spent.calls:,} calls"
    if spent.backward_rows:
        text += f", with gradients for {spent.backward_rows:,} rows"
    if spent.cache_hits:
        text += f"; a cache answered {spent.cache_hits:,} rows"
    return text + "."


def in_words(value: object) -> str:
    """A number, a text or a list of them for a page."""
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if isinstance(value, (float, np.floating)):
        return f"{value:.4g}"
    if isinstance(value, (int, np.integer)):
        return f"{value:,}"
    if isinstance(value, (tuple, list)):
        return ", ".join(map(in_words, value))
    return "" if value is None else str(value)
