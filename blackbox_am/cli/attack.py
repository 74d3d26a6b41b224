"""`blackbox-am attack`: what fools a classifier, and the report about it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from blackbox_am.attacks.asked import REPEATS, Asked
from blackbox_am.attacks.problem import AUTOENCODER
from blackbox_am.attacks.results import AttackResult, Outcome
from blackbox_am.attacks.run import Suggest
from blackbox_am.cli import options
from blackbox_am.cli.attack_compare import compare
from blackbox_am.cli.attack_progress import AttackView
from blackbox_am.cli.connecting import connect, secured
from blackbox_am.cli.console import err, plain, wrote
from blackbox_am.cli.failures import interrupted
from blackbox_am.errors import InvalidInput

app = typer.Typer(invoke_without_command=True)
app.command("compare")(compare)


@app.callback()
@secured
def attack(
    context: typer.Context,
    oracle: Annotated[
        str | None, typer.Option("--oracle", help="The classifier, by its name in the catalogue.")
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(
            "--images",
            help="What to change: a folder of pictures, or a .npz or .npy file. They have the size "
            "that the classifier takes.",
        ),
    ] = None,
    labels: Annotated[
        str,
        typer.Option(
            "--labels",
            metavar="FILE|auto",
            help="The true classes: a text file with one class in a line, or a file name and its "
            "class; numbers or names. auto: labels beside the images in a .npz file, else the "
            "classifier's own answers to the clean images.",
        ),
    ] = "auto",
    norm: Annotated[
        str,
        typer.Option(
            "--norm",
            help="linf, l2, l0 (number of pixels), or latent (distance of "
            "codes of an autoencoder).",
        ),
    ] = "linf",
    eps: Annotated[
        list[str] | None,
        typer.Option(
            "--eps",
            help="The largest change, for pixels from 0 to 1; repeat it for robust accuracy "
            "against eps. Without it 8/255; for l2 1.0, for l0 24, "
            "for latent 4.0.",
        ),
    ] = None,
    targeted: Annotated[
        str | None,
        typer.Option(
            "--targeted",
            metavar="FILE|CLASS|next|least-likely",
            help="The classifier must answer with this class.",
        ),
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            "--attack",
            help="square, rays, ... or any optimizer; without it, the choice follows from what the "
            "classifier answers. Repeat it for an ensemble: each attack gets the images that those "
            "before it have left.",
        ),
    ] = None,
    surrogate: Annotated[
        str | None,
        typer.Option(
            "--surrogate",
            help="A model of the catalogue here, with gradients and the same classes: the search "
            "begins at images that fool it, for which the classifier is not asked.",
        ),
    ] = None,
    settings: options.Parameters = None,
    budget: Annotated[
        int, typer.Option("--budget", min=1, help="Model evaluations for each image.")
    ] = 2000,
    tiles: Annotated[
        list[int] | None,
        typer.Option(
            "--tiles",
            help="Tiles in each direction of an image for sep_cma and other general optimizers; "
            "repeat it from coarse to fine. Without it, a number by the image's size.",
        ),
    ] = None,
    autoencoder: Annotated[
        str,
        typer.Option("--autoencoder", help="For latent: an AutoencoderKL, zoo:NAME or a folder."),
    ] = AUTOENCODER,
    reference: Annotated[
        str | None,
        typer.Option(
            "--reference",
            help="A classifier of the catalogue here: a success counts only if it still sees the "
            "true class.",
        ),
    ] = None,
    repeats: Annotated[
        int,
        typer.Option(
            "--repeats",
            help="How often up to 16 clean images are measured, to test whether the classifier "
            "repeats its answers; 1 for no test.",
        ),
    ] = REPEATS,
    layer: Annotated[
        str | None,
        typer.Option(
            "--layer",
            help="The layer with the class scores, or with the predicted class; without it the "
            "last layer of several scores.",
        ),
    ] = None,
    folder: Annotated[
        Path,
        typer.Option("--out", "-o", help="Folder of the report, and of the journal."),
    ] = Path("report"),
    seed: options.Seed = 0,
    server: Annotated[
        str | None,
        typer.Option("--server", "-s", help="Attack a classifier of this server, host:port."),
    ] = None,
    study_id: Annotated[
        str, typer.Option("--id", help="How the ids of the attack's studies begin.")
    ] = "attack",
    adopt: Annotated[
        bool, typer.Option("--adopt", help="Go on with a classifier that has changed since.")
    ] = False,
    config: Annotated[
        Path | None,
        typer.Option("--config", help="TOML file with your own [oracles]."),
    ] = None,
    device: Annotated[str, typer.Option("--device", help="cpu, cuda, or auto.")] = "auto",
) -> None:
    """Find small changes of images that make a classifier answer wrongly; write a report.

    Every image is attacked with a budget of its own and drops out at its first success. Each
    success is measured afresh before it counts. The journal lies in the folder of the report (or on
    the --server), so after Ctrl-C or a crash the same command goes on.

    For example:

        blackbox-am attack --oracle cifar_cnn --images pictures/ --eps 8/255 --out report/

    Put two reports side by side:

        blackbox-am attack compare report/ other/
    """
    if context.invoked_subcommand is not None:
        return
    if oracle is None or images is None:
        raise InvalidInput(
            "expected --oracle and --images, such as --oracle cifar_cnn --images pictures/; "
            "--help explains all options"
        )
    if server is not None and reference is not None:
        raise InvalidInput("--reference is for an attack in this process; leave --server out")
    if server is not None and config is not None and surrogate is None:
        raise InvalidInput("--config is for this process; the server of --server has its own")
    radii = eps or [{"l2": "1.0", "l0": "24", "latent": "4.0"}.get(norm, "8/255")]
    asked = [
        Asked(
            labels,
            targeted,
            norm,  # type: ignore[arg-type]  # checked by Problem
            _number(text),
            method or "auto",
            options.parameters_of(settings),
            budget,
            seed=seed,
            repeats=repeats,
            tiles=tiles or (),
            autoencoder=autoencoder,
        )
        for text in radii
    ]
    ids = [study_id if len(radii) == 1 else f"{study_id}-{_slug(one.eps)}" for one in asked]
    if len(set(ids)) < len(ids):
        raise InvalidInput(f"--eps: expected different radii, got {', '.join(radii)}")
    folder.mkdir(parents=True, exist_ok=True)
    results: list[AttackResult] = []
    try:
        with AttackView(err) as view, ExitStack() as opened:
            attack_with: Callable[..., AttackResult]
            if server is None:
                from blackbox_am.attacks import local

                attack_with = partial(
                    local.attack_as,
                    surrogate=surrogate,
                    reference=reference,
                    store=folder / "journal.sqlite3",
                    catalogue=options.catalogue_of(config),
                    device=device,
                    on_message=lambda text: err.print(text, markup=False, soft_wrap=True),
                )
            else:
                from blackbox_am.client import attacks

                suggest = _suggestions(surrogate, config, device)
                client = opened.enter_context(connect(server))
                attack_with = partial(attacks.attack, client, suggest=suggest)
            for one, name in zip(asked, ids, strict=True):
                result = attack_with(
                    asked=one,
                    oracle=oracle,
                    images=images,
                    layer=layer,
                    study_id=name,
                    adopt=adopt,
                    on_progress=view.show,
                    clean_id=study_id,
                    before=results,
                )
                results.append(result)
    except KeyboardInterrupt:
        raise interrupted(f"; the server of {server} goes on" if server else "") from None
    from blackbox_am.attacks.report import write_report

    page = write_report(results, folder)
    for result in results:
        _say(result)
    wrote(page)


def _suggestions(surrogate: str | None, config: Path | None, device: str) -> Suggest | None:
    """Suggests where a search on a server begins; a surrogate is a model of this process."""
    if surrogate is None:
        return None
    from blackbox_am.attacks.transfer import suggestions_of

    return suggestions_of(surrogate, options.catalogue_of(config), device)


def _number(text: str) -> float:
    """A radius such as 0.03 or 8/255."""
    try:
        return float(Fraction(text.strip()))
    except (ValueError, ZeroDivisionError):
        raise InvalidInput(
            f"--eps: expected a number or a fraction, such as 0.03 or 8/255, got {text!r}"
        ) from None


def _slug(eps: float) -> str:
    """A radius as a part of a study's id."""
    return f"{eps:.6g}".replace(".", "-").replace("+", "")


def _say(result: AttackResult) -> None:
    """One line about `result`, and what a reader must know."""
    skipped = len(result.of(Outcome.SKIPPED))
    plain(
        f"{result.attack}, {result.norm} {result.eps:.4g}: fooled "
        f"{len(result.of(Outcome.SUCCESS)):,} of {len(result.attacked):,} images"
        + (f" ({skipped:,} skipped)" if skipped else "")
        + f"; the model measured {result.spent.rows:,} rows in {result.spent.calls:,} calls"
    )
    for one in result.of(Outcome.ERROR):
        err.print(f"{one.name}: {one.message}", markup=False, highlight=False, soft_wrap=True)
    for warning in result.warnings:
        err.print(warning, style="yellow", markup=False, highlight=False, soft_wrap=True)
    if not result.complete:
        err.print(
            "the attack is not complete; the same command goes on", style="yellow", markup=False
        )
