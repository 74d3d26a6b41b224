"""`blackbox-am runs ...`: the studies in a store on this machine, without a server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from blackbox_am.cli import options, reporting
from blackbox_am.cli.console import err, out, print_json
from blackbox_am.cli.results import best_plain, best_table, progress_plain, study_table

if TYPE_CHECKING:
    from blackbox_am.results import Result

app = typer.Typer(
    no_args_is_help=True,
    help="Show and export the studies in a store on this machine; no server is needed.\n\n"
    "The store is that of `blackbox-am run` or of `maximise(store=...)`; also that of a server.",
)

DEFAULT_STORE = "runs.sqlite3"
StoreOption = Annotated[
    str, typer.Option("--store", help="SQLite file or PostgreSQL URL of the store.")
]
Config = Annotated[
    Path | None,
    typer.Option("--config", help="TOML file with your own [generators], which render stimuli."),
]
StudyId = Annotated[str, typer.Argument(metavar="STUDY", help="The study's id.")]
StudyIds = Annotated[list[str], typer.Argument(metavar="STUDY...", help="The studies' ids.")]


@app.command("list")
def list_runs(store: StoreOption = DEFAULT_STORE, as_json: options.AsJson = False) -> None:
    """List the studies in a store."""
    from blackbox_am.studies.stored import stored_studies

    found = stored_studies(store)
    if as_json:
        print_json([progress_plain(progress) for progress in found])
    elif not found:
        err.print("no studies")
    else:
        out.print(study_table(found))


@app.command()
def show(
    study: StudyId,
    store: StoreOption = DEFAULT_STORE,
    config: Config = None,
    as_json: options.AsJson = False,
) -> None:
    """Show the progress and the best candidates of a study."""
    from blackbox_am.cli.progress import study_view

    result = _result(study, store, config)
    if as_json:
        print_json({**progress_plain(result.progress), "best": best_plain(result.best)})
        return
    out.print(study_view(result.progress, rate=0.0))
    out.print()
    out.print(best_table(result.best))


@app.command()
def export(
    study: StudyId,
    folder: reporting.Folder,
    history: reporting.History = None,
    latents: reporting.Latents = None,
    stimuli: reporting.Stimuli = False,
    store: StoreOption = DEFAULT_STORE,
    config: Config = None,
) -> None:
    """Write a study into a folder: everything that it found, and what reproduces it.

    `blackbox_am.load(folder)` reads the folder in Python.
    """
    reporting.export(_result(study, store, config), folder, history, latents, stimuli)


@app.command()
def plot(
    study: StudyId,
    picture: reporting.Picture,
    what: reporting.Figure = reporting.What.CONVERGENCE,
    target: reporting.Only = None,
    store: StoreOption = DEFAULT_STORE,
    config: Config = None,
) -> None:
    """Draw a study: its convergence, its best stimuli, or the scores of its generations."""
    reporting.plot(_result(study, store, config), what, target, picture)


@app.command()
def compare(
    studies: StudyIds,
    picture: reporting.Comparison = None,
    store: StoreOption = DEFAULT_STORE,
    as_json: options.AsJson = False,
) -> None:
    """Compare studies: best scores with 95 % intervals, and with --out their curves.

    Studies that differ only in their seed are one search, with a band in the picture.
    """
    found = {study: _result(study, store, None, stimuli=False) for study in dict.fromkeys(studies)}
    reporting.compare(found, picture, as_json=as_json)


def _result(study: str, store: str, config: Path | None, *, stimuli: bool = True) -> Result:
    from blackbox_am.studies.stored import open_result

    catalogue = options.catalogue_of(config)
    result = open_result(store, study, catalogue=catalogue, stimuli=stimuli)
    for note in result.notes:
        err.print(note, markup=False, soft_wrap=True)
    return result
