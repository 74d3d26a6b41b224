"""Options that several commands share, and the parser of their values."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from blackbox_am.core.parameters import read_setting
from blackbox_am.core.spec import from_plain
from blackbox_am.core.transform_spec import TransformsSpec
from blackbox_am.errors import InvalidInput

if TYPE_CHECKING:
    from blackbox_am.catalogue import Catalogue

DEFAULT_SERVER = "localhost:50051"

Server = Annotated[
    str,
    typer.Option(
        "--server", "-s", envvar="BLACKBOX_AM_SERVER", help="Address of the server, host:port."
    ),
]
_TARGET = typer.Option(
    "--target",
    "-t",
    help="A unit to maximise, such as `head:3` or `layer2.0.conv1:7@center`, or an expression of "
    "units, measures and objectives, such as `head:3 - 0.5*head:5` or `mean(head:1, head:2)`. "
    "Repeat the option to search several targets at once.",
)
Targets = Annotated[list[str], _TARGET]
Penalties = Annotated[
    list[str] | None,
    typer.Option(
        "--penalty",
        metavar="MEASURE=WEIGHT",
        help="Subtract a measure of the stimulus from every target, such as `stimulus.tv=0.05`; "
        "can be repeated. See `blackbox-am catalog measures`.",
    ),
]
AnyTargets = Annotated[list[str] | None, _TARGET]
Layers = Annotated[
    str | None,
    typer.Option(
        "--layers",
        metavar="all|NAME,NAME",
        help="Search units of these layers too: `all`, or names with `*` and `?`, such as "
        "`layer?,head`. With --out, the layers are drawn in hierarchy.png beside it.",
    ),
]
UnitsPerLayer = Annotated[
    int,
    typer.Option(
        "--units-per-layer", min=1, help="Number of units of each of the --layers, evenly spaced."
    ),
]
OptimizerName = Annotated[
    str,
    typer.Option(
        "--optimizer",
        help="See `blackbox-am catalog optimizers`; `auto` chooses by space, budget and noise.",
    ),
]
Parameters = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="NAME=VALUE", help="A parameter of the optimizer; can be repeated."
    ),
]
Queries = Annotated[
    int, typer.Option("--queries", "-q", min=1, help="Model evaluations for each target.")
]
Seconds = Annotated[
    float | None, typer.Option("--seconds", help="Stop after this many seconds of search.")
]
TargetScore = Annotated[
    float | None,
    typer.Option("--target-score", help="A target is finished when it reaches this score."),
]
Patience = Annotated[
    int | None,
    typer.Option(
        "--patience", help="A target is finished after this many generations without progress."
    ),
]
Seed = Annotated[int, typer.Option("--seed", help="Seed of all random numbers.")]
Start = Annotated[
    str | None,
    typer.Option(
        "--start",
        metavar="STUDY",
        help="Start from the best latents of this study instead of the prior.",
    ),
]
Baseline = Annotated[
    str,
    typer.Option(
        "--baseline",
        metavar="FOLDER|NAME|none",
        help="Natural images to measure first, as a baseline and as the start: a folder of images, "
        "or a set by its name, such as `shipped`.",
    ),
]
RecheckFraction = Annotated[
    float | None,
    typer.Option(
        "--recheck-fraction",
        help="Fraction of the queries that measures the best candidates again at the end; 0.1 if "
        "the model is noisy, else 0.",
    ),
]
Transforms = Annotated[
    list[str] | None,
    typer.Option(
        "--transform",
        metavar="NAME[,PARAMETER=VALUE...]",
        help="The model sees randomly transformed copies of each stimulus, such as "
        "`jitter,amount=0.1`; see `blackbox-am catalog transforms`. Repeat the option for several "
        "transformations, in the order of their application.",
    ),
]
Copies = Annotated[
    int | None,
    typer.Option("--copies", min=1, help="Transformed copies of each stimulus; default 8."),
]
Redraw = Annotated[
    str,
    typer.Option(
        "--redraw",
        metavar="fixed|generation",
        help="Draw the transformations once for the whole search, or anew in each generation.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for other programs.")]


def parameters_of(settings: Sequence[str] | None) -> dict[str, Any]:
    """Parse `NAME=VALUE` settings; a value that is not JSON is taken as text.

    Raises:
        InvalidInput: if a setting has no `=`.
    """
    parameters: dict[str, Any] = {}
    for setting in settings or ():
        found = read_setting(setting)
        if found is None:
            raise InvalidInput(f"--set {setting}: expected NAME=VALUE, such as population=40")
        parameters[found[0]] = found[1]
    return parameters


def transforms_of(
    given: Sequence[str] | None, copies: int | None, redraw: str
) -> TransformsSpec | None:
    """Parse `NAME,PARAMETER=VALUE,...` transformations.

    Raises:
        InvalidInput: if a part has no `=`, if copies are asked for without a transformation, or for
            another `redraw`.
    """
    if not given:
        if copies is not None or redraw != "fixed":
            raise InvalidInput(
                "--copies, --redraw: there are no transformed copies without a transformation; add "
                "--transform, such as --transform jitter"
            )
        return None
    chain = []
    for text in given:
        name, *settings = text.split(",")
        found = [read_setting(setting) for setting in settings]
        if None in found:
            raise InvalidInput(f"--transform {text}: expected NAME,PARAMETER=VALUE,...")
        values = {one[0]: _number(one[1]) for one in found if one is not None}
        chain.append({"name": name, "parameters": values})
    plain = {"chain": chain, "redraw": redraw} | ({} if copies is None else {"copies": copies})
    return from_plain(TransformsSpec, plain)


def _number(value: Any) -> Any:
    """`.1` as a number, which it is not in JSON."""
    try:
        return float(value) if isinstance(value, str) and value[:1] in ".-+" else value
    except ValueError:
        return value


def catalogue_of(config: Path | None) -> Catalogue:
    """The catalogue of a server with this `config`; the shipped models if it is None.

    Raises:
        NotFound: if the file does not exist.
        InvalidSpec: if the file's content is wrong.
    """
    # Imported here, because a command that asks a server needs no models.
    from blackbox_am.catalogue import Catalogue

    if config is None:
        return Catalogue.default()
    from blackbox_am.service.config import load_config

    return load_config(config).catalogue
