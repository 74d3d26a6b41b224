"""`blackbox-am study export|plot|compare`: the results of studies on a server."""

from __future__ import annotations

from typing import Annotated

import typer

from blackbox_am.cli import options, reporting
from blackbox_am.cli.connecting import connect, secured
from blackbox_am.cli.options import DEFAULT_SERVER

StudyId = Annotated[str, typer.Argument(metavar="STUDY", help="The study's id.")]
StudyIds = Annotated[list[str], typer.Argument(metavar="STUDY...", help="The studies' ids.")]


def add_commands(app: typer.Typer) -> None:
    """Adds the commands to `blackbox-am study`."""
    app.command()(export)
    app.command()(plot)
    app.command()(compare)


@secured
def export(
    study: StudyId,
    folder: reporting.Folder,
    history: reporting.History = None,
    latents: reporting.Latents = None,
    stimuli: reporting.Stimuli = False,
    server: options.Server = DEFAULT_SERVER,
) -> None:
    """Write a study into a folder: everything that it found, and what reproduces it.

    `blackbox_am.load(folder)` reads the folder in Python.

    For example:

        blackbox-am study export my-study --out my-study/

        blackbox-am study export my-study --out my-study/ --history npz --latents --stimuli
    """
    with connect(server) as client:
        reporting.export(client.study(study), folder, history, latents, stimuli)


@secured
def plot(
    study: StudyId,
    picture: reporting.Picture,
    what: reporting.Figure = reporting.What.CONVERGENCE,
    target: reporting.Only = None,
    server: options.Server = DEFAULT_SERVER,
) -> None:
    """Draw a study: its convergence, its best stimuli, or the scores of its generations."""
    with connect(server) as client:
        reporting.plot(client.study(study).result(), what, target, picture)


@secured
def compare(
    studies: StudyIds,
    picture: reporting.Comparison = None,
    server: options.Server = DEFAULT_SERVER,
    as_json: options.AsJson = False,
) -> None:
    """Compare studies: best scores with 95 % intervals, and with --out their curves.

    Studies that differ only in their seed are one search, with a band in the picture.
    """
    with connect(server) as client:
        found = {study: client.study(study).result() for study in dict.fromkeys(studies)}
    reporting.compare(found, picture, as_json=as_json)
