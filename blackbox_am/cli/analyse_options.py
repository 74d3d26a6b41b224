"""Options and output that the commands of `blackbox-am analyse` share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from blackbox_am.cli.console import err, plain, print_json, wrote

if TYPE_CHECKING:
    from blackbox_am.analysis.results import Analysis

Oracle = Annotated[str, typer.Option("--oracle", help="The model, by its name in the catalogue.")]
Unit = Annotated[str, typer.Option("--unit", "-u", help="The unit, such as head:3.")]
Layer = Annotated[str, typer.Option("--layer", "-l", help="The layer.")]
Image = Annotated[
    str,
    typer.Option(
        "--image",
        metavar="FILE|SET:NUMBER",
        help="The stimulus: a picture, a .npy file of one stimulus, or an image of a set of the "
        "catalogue by its number from 0, such as shipped:12.",
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="A parameter of the method; can be repeated."),
]
Folder = Annotated[Path, typer.Option("--out", "-o", help="Folder of the page and the data.")]
Config = Annotated[
    Path | None,
    typer.Option("--config", help="TOML file with your own [oracles] and [generators]."),
]


def say(result: Analysis, folder: Path, *, as_json: bool) -> None:
    """Write a result into `folder` and print what was found and what it cost."""
    from blackbox_am.analysis.results import cost_in_words

    page = result.save(folder)
    if as_json:
        rows = {"rows": result.spent.rows, "backward_rows": result.spent.backward_rows}
        found = {"method": result.method, "subject": result.subject, "lead": result.lead()}
        print_json({**found, "notes": result.notes, "spent": rows, "page": str(page)})
        return
    for sentence in (*result.lead(), cost_in_words(result.spent)):
        plain(sentence)
    for sentence in result.notes:
        err.print(sentence, style="yellow", markup=False, highlight=False, soft_wrap=True)
    wrote(page)
