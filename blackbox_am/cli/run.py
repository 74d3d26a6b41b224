"""`blackbox-am run`: a whole study in this process."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from blackbox_am.cli import options
from blackbox_am.cli.console import err, out, print_json, wrote
from blackbox_am.cli.failures import interrupted
from blackbox_am.cli.progress import StudyView
from blackbox_am.cli.results import (
    best_plain,
    best_table,
    progress_plain,
    save_hierarchy,
    save_montage,
)
from blackbox_am.core.penalties import read_penalties
from blackbox_am.core.spec import to_plain
from blackbox_am.core.types import Best, StudyState
from blackbox_am.errors import InvalidInput
from blackbox_am.results import Result

_BUDGET = ("queries_per_target", "seconds", "target_score", "patience")


def run(
    target: options.AnyTargets = None,
    layers: options.Layers = None,
    units_per_layer: options.UnitsPerLayer = 3,
    oracle: Annotated[
        str, typer.Option("--oracle", help="The model, by its name in the catalogue.")
    ] = "cifar_cnn",
    generator: Annotated[
        str,
        typer.Option(
            "--generator",
            help="What makes the stimuli, by its name, or by the folder of a fitted generator.",
        ),
    ] = "cifar_vae",
    penalty: options.Penalties = None,
    optimizer: options.OptimizerName = "auto",
    settings: options.Parameters = None,
    queries: options.Queries = 1000,
    seconds: options.Seconds = None,
    target_score: options.TargetScore = None,
    patience: options.Patience = None,
    seed: options.Seed = 0,
    start: options.Start = None,
    baseline: options.Baseline = "none",
    transforms: options.Transforms = None,
    copies: options.Copies = None,
    redraw: options.Redraw = "fixed",
    recheck_fraction: options.RecheckFraction = None,
    store: Annotated[
        str,
        typer.Option(
            "--store", help="SQLite file or PostgreSQL URL of the journal; makes it resumable."
        ),
    ] = "runs.sqlite3",
    study_id: Annotated[
        str | None,
        typer.Option(
            "--id", help="The study's id in the store. Without it, the request is the id."
        ),
    ] = None,
    picture: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="Write the best stimuli to this picture (.png, .svg, .pdf)."
        ),
    ] = None,
    random_row: Annotated[
        bool,
        typer.Option(
            "--random-row",
            help="With --out: also search with as many random draws, and draw the best of them. "
            "The model answers twice as many queries.",
        ),
    ] = False,
    adopt: Annotated[
        bool,
        typer.Option(
            "--adopt",
            help="Go on with a model or generator that has changed since the study began.",
        ),
    ] = False,
    config: Annotated[
        Path | None,
        typer.Option("--config", help="TOML file with your own [oracles] and [generators]."),
    ] = None,
    device: Annotated[str, typer.Option("--device", help="cpu, cuda, or auto.")] = "auto",
    as_json: options.AsJson = False,
) -> None:
    """Search here, without a server.

    The command searches for the stimulus that excites each --target most. Every measurement is
    written to the --store first, so Ctrl-C (or a crash) loses nothing: the same command continues
    the study.

    For example:

        blackbox-am run -t head:3 -t layer2.0.conv1:7 --queries 2000 --out best.png

        blackbox-am run -t head:3 --baseline shipped --random-row --out compared.png

        blackbox-am run --layers 'layer?,head' --units-per-layer 4 --out walk/best.png
    """
    from blackbox_am.cli.options import catalogue_of
    from blackbox_am.studies.walking import units_of_layers

    _check_picture(picture, random_row)
    catalogue = catalogue_of(config)
    targets = list(target or ())
    if layers is not None:
        targets += units_of_layers(oracle, layers, units_per_layer, catalogue=catalogue)
    if not targets:
        raise InvalidInput("name a unit with --target, or layers with --layers")
    request: dict[str, Any] = {
        "oracle": oracle,
        "generator": generator,
        "targets": targets,
        "optimizer": optimizer,
        "parameters": options.parameters_of(settings),
        "queries_per_target": queries,
        "seconds": seconds,
        "target_score": target_score,
        "patience": patience,
        "seed": seed,
        "start": start,
        "baseline": None if baseline == "none" else baseline,
        "recheck_fraction": recheck_fraction,
        "transforms": options.transforms_of(transforms, copies, redraw),
    }
    if penalty:
        request["penalties"] = read_penalties(penalty)
    study_id = study_id or _id_of(request)
    where = {"store": store, "adopt": adopt, "catalogue": catalogue, "device": device}
    drawn: list[Best] = []
    try:
        result = _search(request, where, study_id)
        if random_row:
            drawn = _search(_at_random(request), where, f"{study_id}-random").best
    except KeyboardInterrupt:
        raise interrupted() from None
    if result.progress.state is StudyState.PAUSED:
        err.print(f"paused: {result.progress.message}", markup=False, soft_wrap=True)
    if as_json:
        found = {**progress_plain(result.progress), "best": best_plain(result.best)}
        print_json(found)
    else:
        out.print(best_table(result.best))
    if picture is not None:
        known = catalogue.oracle(oracle).describe().layers
        wrote(save_montage(result, known, picture, drawn))
        beside = picture.with_name(f"hierarchy{picture.suffix}")
        heading = f"What layers of {oracle} respond to"
        source = f"The best of {queries:,} stimuli of {generator} for each unit"
        if save_hierarchy(result.best, known, heading, source, beside) is not None:
            wrote(beside)


def _check_picture(picture: Path | None, random_row: bool) -> None:
    """Refuses a picture that cannot be written before the search, not after it."""
    if picture is not None:
        from blackbox_am.plots.saving import check_ending

        check_ending(picture)
    elif random_row:
        raise InvalidInput("--random-row is a row of the picture; add --out")


def _search(request: dict[str, Any], where: dict[str, Any], study_id: str) -> Result:
    from blackbox_am.studies.local import maximise

    with StudyView(err, keep=False) as view:
        return maximise(
            **request,
            **where,
            study_id=study_id,
            on_generation=view.show,
            on_message=lambda text: err.print(text, markup=False, soft_wrap=True),
        )


def _at_random(request: dict[str, Any]) -> dict[str, Any]:
    """The same search with random draws of the prior: as many queries, without a start, and
    without the natural images, which the search itself measures.
    """
    plain: dict[str, Any] = {
        "optimizer": "random",
        "parameters": {},
        "start": None,
        "baseline": None,
    }
    return {**request, **plain}


def _id_of(request: dict[str, Any]) -> str:
    """An id that is equal for equal requests, also with a larger budget, and different for all
    other requests.

    The id does not depend on the model behind the oracle's name: the study itself records the
    model.
    """
    search = {name: to_plain(value) for name, value in request.items() if name not in _BUDGET}
    text = json.dumps(search, sort_keys=True).encode()
    return f"run-{hashlib.blake2b(text, digest_size=5).hexdigest()}"
