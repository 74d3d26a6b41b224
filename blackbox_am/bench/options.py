"""Options that several `bench` commands share.

They stand apart from `cli`, which imports the module of a command that defines its own options.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Problems = Annotated[
    list[str] | None,
    typer.Option("--problem", help="ORACLE+GENERATOR, such as cnn+vae. Repeatable."),
]
Units = Annotated[int, typer.Option(help="Units of each problem.", min=1)]
Seeds = Annotated[int, typer.Option(help="Searches for each unit.", min=1)]
Assets = Annotated[
    Path | None, typer.Option(help="Folder with more models, see bench/problems.py.")
]
Results = Annotated[
    Path | None,
    typer.Option(help="File that collects results; searches in this file are not repeated."),
]
Page = Annotated[Path | None, typer.Option(help="Also write the tables into this Markdown page.")]
JsonFile = Annotated[Path | None, typer.Option("--json", help="Also write the table to this file.")]
