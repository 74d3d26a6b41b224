"""`blackbox-am attack compare`: two reports side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from blackbox_am.cli.console import out, plain, wrote
from blackbox_am.errors import InvalidInput

if TYPE_CHECKING:
    from blackbox_am.attacks.report.comparison import Comparison, Pair


def compare(
    a: Annotated[Path, typer.Argument(metavar="A", help="Folder of the first report.")],
    b: Annotated[Path, typer.Argument(metavar="B", help="Folder of the second report.")],
    page: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write the comparison to this HTML file.")
    ] = None,
) -> None:
    """Compare two attack reports, input by input.

    Inputs are recognised by their content. Results of the same ball and goal are compared:
    success on the inputs that both attacked, and queries on the inputs that both fooled.
    """
    from blackbox_am.attacks.report.comparison import compare as compared
    from blackbox_am.attacks.report.comparison_page import comparison_page
    from blackbox_am.attacks.report.reading import read_report

    comparison = compared(read_report(a), read_report(b))
    _show(comparison)
    if page is not None:
        try:
            page.parent.mkdir(parents=True, exist_ok=True)
            page.write_text(comparison_page(comparison), "utf-8")
        except OSError as error:
            raise InvalidInput(
                f"{page} cannot be written: {error.strerror}; choose another place"
            ) from error
        wrote(page)


def _show(comparison: Comparison) -> None:
    from blackbox_am.attacks.report.comparison_page import verdict

    for pair in comparison.pairs:
        out.print(_table(pair))
        for sentence in verdict(pair):
            plain(sentence)
        for note in pair.notes:
            out.print(Text(f"note: {note}", style="yellow"), soft_wrap=True)
        plain("")
    if comparison.unpaired:
        left = "; ".join(comparison.unpaired)
        out.print(Text(f"note: results without a partner: {left}", style="yellow"), soft_wrap=True)


def _table(pair: Pair) -> Table:
    from blackbox_am.attacks.report.comparison_page import columns, groups
    from blackbox_am.attacks.report.wording import ball_text

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(Text(ball_text(pair.a.norm, pair.a.eps)))
    for column in columns(pair):
        table.add_column(Text(column), justify="right")
    for group in groups(pair):
        table.add_row(Text(group.name, style="bold"), "", "")
        for line in group.lines:
            table.add_row(Text(f"  {line.name}"), *map(Text, line.values))
    return table
