"""`blackbox-am study ...`: studies on a server."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from blackbox_am.cli import options, study_results
from blackbox_am.cli.background import iterate
from blackbox_am.cli.connecting import connect, secured
from blackbox_am.cli.console import err, out, plain, print_json, wrote
from blackbox_am.cli.failures import CANCELLED, INTERRUPTED
from blackbox_am.cli.options import DEFAULT_SERVER
from blackbox_am.cli.progress import StudyView, study_view
from blackbox_am.cli.results import (
    best_plain,
    best_table,
    progress_plain,
    save_montage,
    study_table,
)
from blackbox_am.client import Client, Study
from blackbox_am.core.penalties import read_penalties
from blackbox_am.core.types import LayerInfo, StudyProgress, StudyState
from blackbox_am.errors import BlackboxError, InvalidInput, did_you_mean

app = typer.Typer(
    no_args_is_help=True,
    help="Create, watch and steer studies on a server.\n\n"
    "The server is --server, or the environment's BLACKBOX_AM_SERVER.",
)

StudyId = Annotated[str, typer.Argument(metavar="STUDY", help="The study's id.")]

study_results.add_commands(app)


@app.command()
@secured
def create(
    targets: options.Targets,
    server: options.Server = DEFAULT_SERVER,
    oracle: Annotated[
        str | None,
        typer.Option("--oracle", help="A model of the server; none where clients measure."),
    ] = None,
    generator: Annotated[
        str, typer.Option("--generator", help="What makes the stimuli, by its name.")
    ] = "cifar_vae",
    penalty: options.Penalties = None,
    optimizer: options.OptimizerName = "auto",
    settings: options.Parameters = None,
    queries: options.Queries = 1000,
    seconds: options.Seconds = None,
    target_score: options.TargetScore = None,
    patience: options.Patience = None,
    seed: Annotated[
        int | None,
        typer.Option("--seed", help="Fixes every random number; drawn by the server without."),
    ] = None,
    start: options.Start = None,
    baseline: options.Baseline = "none",
    transforms: options.Transforms = None,
    copies: options.Copies = None,
    redraw: options.Redraw = "fixed",
    recheck_fraction: options.RecheckFraction = None,
    study_id: Annotated[
        str | None, typer.Option("--id", help="Its id; the server picks one without.")
    ] = None,
    labels: Annotated[
        list[str] | None,
        typer.Option("--label", metavar="NAME=TEXT", help="A note to keep with it. Repeatable."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only check the request; create nothing.")
    ] = False,
    watch_it: Annotated[bool, typer.Option("--watch", "-w", help="Watch it at once.")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Create a study; print its id.

    A repeated request with the same id returns the existing study, so the command can be repeated
    safely.

    For example:

        blackbox-am study create --oracle cifar_cnn -t head:3 -t head:5 --watch
    """
    with connect(server) as client:
        study = client.create(
            targets=targets,
            penalties=read_penalties(penalty or ()),
            generator=generator,
            oracle=oracle,
            optimizer=optimizer,
            parameters=options.parameters_of(settings),
            queries_per_target=queries,
            seconds=seconds,
            target_score=target_score,
            patience=patience,
            seed=seed,
            start=start,
            baseline=None if baseline == "none" else baseline,
            transforms=options.transforms_of(transforms, copies, redraw),
            recheck_fraction=recheck_fraction,
            study_id=study_id,
            labels=_labels(labels),
            validate_only=dry_run,
        )
        if dry_run:
            err.print("the request is fine; nothing was created")
            return
        plain(json.dumps({"study_id": study.id}) if as_json else study.id)
        if watch_it:
            _watch(study, server)


@app.command("list")
@secured
def list_studies(
    server: options.Server = DEFAULT_SERVER,
    states: Annotated[
        list[str] | None,
        typer.Option("--state", help="Only these: running, paused, succeeded, ... Repeatable."),
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """List the studies of a server."""
    with connect(server) as client:
        found = client.studies([_state(text) for text in states or ()])
    if as_json:
        print_json([progress_plain(progress) for progress in found])
        return
    if not found:
        err.print("no studies")
        return
    out.print(study_table(found))


@app.command()
@secured
def show(
    study: StudyId, server: options.Server = DEFAULT_SERVER, as_json: options.AsJson = False
) -> None:
    """Show the progress of a study."""
    with connect(server) as client:
        _show(client.study(study).progress(), as_json)


@app.command()
@secured
def watch(study: StudyId, server: options.Server = DEFAULT_SERVER) -> None:
    """Watch a study until it ends. Ctrl-C ends only the display; the study continues."""
    with connect(server) as client:
        _watch(client.study(study), server)


@app.command()
@secured
def best(
    study: StudyId,
    server: options.Server = DEFAULT_SERVER,
    picture: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write the stimuli to this picture.")
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Print the best candidate of each target; with --out draw the stimuli."""
    with connect(server) as client:
        handle = client.study(study)
        result = None if picture is None else handle.result()
        found = handle.best() if result is None else result.best
        layers = () if result is None else _layers(client, handle)
    if as_json:
        print_json(best_plain(found))
    else:
        out.print(best_table(found))
    if result is not None and picture is not None:
        wrote(save_montage(result, layers, picture))


@app.command()
@secured
def pause(
    study: StudyId, server: options.Server = DEFAULT_SERVER, as_json: options.AsJson = False
) -> None:
    """Pause a study; `resume` continues it."""
    with connect(server) as client:
        _show(client.study(study).pause(), as_json)


@app.command()
@secured
def resume(
    study: StudyId, server: options.Server = DEFAULT_SERVER, as_json: options.AsJson = False
) -> None:
    """Resume a paused or failed study."""
    with connect(server) as client:
        _show(client.study(study).resume(), as_json)


@app.command()
@secured
def cancel(
    study: StudyId, server: options.Server = DEFAULT_SERVER, as_json: options.AsJson = False
) -> None:
    """Cancel a study permanently. Its results are kept."""
    with connect(server) as client:
        _show(client.study(study).cancel(), as_json)


@app.command()
@secured
def extend(
    study: StudyId,
    queries: Annotated[
        int | None, typer.Option("--queries", "-q", min=1, help="The new limit for each target.")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option("--seconds", help="The new limit of time spent searching.")
    ] = None,
    server: options.Server = DEFAULT_SERVER,
    as_json: options.AsJson = False,
) -> None:
    """Raise a study's budget; a study that had used up its budget continues."""
    if queries is None and seconds is None:
        raise InvalidInput("say what to raise: --queries, --seconds, or both")
    with connect(server) as client:
        raised = client.study(study).extend(queries_per_target=queries, seconds=seconds)
        _show(raised, as_json)


@app.command()
@secured
def delete(
    study: StudyId,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    server: options.Server = DEFAULT_SERVER,
) -> None:
    """Delete a study and all its measurements."""
    with connect(server) as client:
        handle = client.study(study)
        if not yes:
            measured = handle.progress().search_rows
            typer.confirm(
                f"Delete study {study} with its {measured:,} measurements?", abort=True, err=True
            )
        handle.delete()
    err.print(f"deleted {study}", markup=False)


def _watch(study: Study, server: str) -> None:
    """Shows the study until it ends. Raises an error if the study failed."""
    progress: StudyProgress | None = None
    if study.spec().oracle is None:
        err.print(
            f"Clients measure study {study.id}: it waits until one of them asks for candidates and "
            "tells scores. Ctrl-C ends this display.",
            markup=False,
            soft_wrap=True,
        )
    try:
        with StudyView(out) as view:
            for progress in iterate(study.follow(min_interval=0.25)):
                view.show(progress)
    except KeyboardInterrupt:
        where = "" if server == DEFAULT_SERVER else f" --server {server}"
        err.print(
            f"\nThe study goes on without you. Watch it again with: "
            f"blackbox-am study watch {study.id}{where}",
            markup=False,
            soft_wrap=True,
        )
        raise typer.Exit(INTERRUPTED) from None
    if progress is not None and progress.state is StudyState.FAILED:
        raise BlackboxError(f"study {study.id} failed: {progress.message}")
    if progress is not None and progress.state is StudyState.CANCELLED:
        raise typer.Exit(CANCELLED)


def _show(progress: StudyProgress, as_json: bool) -> None:
    if as_json:
        print_json(progress_plain(progress))
    else:
        out.print(study_view(progress, rate=0.0))


def _layers(client: Client, study: Study) -> Sequence[LayerInfo]:
    """The layers of the study's oracle, which have the labels of its units."""
    oracle = study.spec().oracle
    for listing in client.oracles():
        if listing.name == oracle and listing.info is not None:
            return listing.info.layers
    return ()


def _state(text: str) -> StudyState:
    known = [state.value for state in StudyState if state is not StudyState.UNKNOWN]
    if text not in known:
        raise InvalidInput(f"no state is called {text!r}{did_you_mean(text, known)}")
    return StudyState(text)


def _labels(texts: Sequence[str] | None) -> dict[str, str]:
    labels = {}
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not equals:
            raise InvalidInput(f"--label {text}: expected NAME=TEXT")
        labels[name] = value
    return labels
