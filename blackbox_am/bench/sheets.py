"""Tables of benchmarks: printed, and written as Markdown between two marks of a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from blackbox_am.errors import InvalidInput

WIDTH = 220
"""Width in characters of a table that is written to a file or a pipe."""
BEGIN = "<!-- begin: {command} -->"
END = "<!-- end: {command} -->"


@dataclass(frozen=True)
class Sheet:
    """A table.

    Attributes:
        title: title of the table.
        headings: headings of the columns; the first column is text, the others are numbers.
        rows: rows of texts, one text for each column.
        notes: sentences below the table.
    """

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()


def show(sheets: Sequence[Sheet]) -> None:
    """Print the tables."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDTH
    for sheet in sheets:
        table = Table(title=sheet.title, title_justify="left")
        for number, heading in enumerate(sheet.headings):
            table.add_column(heading, justify="right" if number else "left", no_wrap=True)
        for row in sheet.rows:
            table.add_row(*row)
        console.print(table)
        for note in sheet.notes:
            console.print(note, markup=False)
        console.print()


def publish(tables: dict[str, list[Sheet]], command: str, page: Path | None) -> None:
    """Print the tables, and write those of each part between the part's marks in `page`."""
    show([sheet for part in tables.values() for sheet in part])
    if page is not None:
        for part, found in tables.items():
            write_between_marks(page, f"{command}, {part}", found)


def check_page(path: Path | None) -> None:
    """Check that a page can be written, before a measurement that takes hours.

    Raises:
        InvalidInput: if the folder of the page does not exist.
    """
    if path is not None and not path.parent.is_dir():
        raise InvalidInput(
            f"the folder {path.parent} of the page {path.name} does not exist; make it first",
            field="page",
        )


def markdown(sheets: Sequence[Sheet]) -> str:
    """The tables as Markdown."""
    parts = []
    for sheet in sheets:
        lines = [f"**{sheet.title}**", "", _line(sheet.headings)]
        lines.append(_line(["---", *["---:"] * (len(sheet.headings) - 1)]))
        lines += [_line(row) for row in sheet.rows]
        lines += [""] + [f"{note}\n" for note in sheet.notes]
        parts.append("\n".join(lines))
    return "\n".join(parts)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def write_between_marks(path: Path, command: str, sheets: Sequence[Sheet]) -> None:
    """Write the tables between the marks of `command` in the page at `path`.

    A page that does not exist is created, and a page without these marks gets a section for them at
    its end.

    Args:
        path: the page, in an existing folder.
        command: the command and the part of its tables, as `COMMAND, PART`.
        sheets: the tables.

    Raises:
        InvalidInput: if the folder does not exist, or the page has one of the two marks alone or
            the end before the beginning.
    """
    begin, end = (mark.format(command=command) for mark in (BEGIN, END))
    check_page(path)
    program, _, part = command.partition(", ")
    text = path.read_text() if path.exists() else f"# {program}\n"
    if begin not in text and end not in text:
        text += f"\n## {part.capitalize()}\n\n{begin}\n{end}\n"
    head, _, rest = text.partition(begin)
    _, second, tail = rest.partition(end)
    if not second:
        raise InvalidInput(
            f"{path} has one of the lines {begin} and {end} alone, or the second before the first; "
            "put both where the tables belong, or remove both"
        )
    path.write_text(f"{head}{begin}\n\n{markdown(sheets)}\n{end}{tail}")
