"""Options that several commands share, and how their texts become values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from blackbox_am.core.parameters import read_setting
from blackbox_am.errors import InvalidInput

DEFAULT_SERVER = "localhost:50051"

Server = Annotated[
    str,
    typer.Option(
        "--server", "-s", envvar="BLACKBOX_AM_SERVER", help="Address of the server, host:port."
    ),
]
Targets = Annotated[
    list[str],
    typer.Option(
        "--target",
        "-t",
        help="A unit to maximise, such as `head:3` or "
        "`layer2.0.conv1:7@center`. Repeat it: all are searched at once.",
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
        "--set", metavar="NAME=VALUE", help="A parameter of the optimizer. May be repeated."
    ),
]
Queries = Annotated[
    int, typer.Option("--queries", "-q", min=1, help="Model evaluations for each target.")
]
Seconds = Annotated[
    float | None, typer.Option("--seconds", help="Stop after so much time spent searching.")
]
TargetScore = Annotated[
    float | None,
    typer.Option("--target-score", help="A target is finished once it scores so much."),
]
Patience = Annotated[
    int | None,
    typer.Option(
        "--patience", help="A target is finished after so many generations without progress."
    ),
]
Seed = Annotated[int, typer.Option("--seed", help="Fixes every random number.")]
Start = Annotated[
    str | None,
    typer.Option(
        "--start", metavar="STUDY", help="Begin at the best latents of this study, not the prior."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for other programs to read.")]


def parameters_of(settings: Sequence[str] | None) -> dict[str, Any]:
    """`NAME=VALUE` texts as parameters; values are read as JSON, else taken as text.

    Raises:
        InvalidInput: for a text without `=`.
    """
    parameters: dict[str, Any] = {}
    for setting in settings or ():
        found = read_setting(setting)
        if found is None:
            raise InvalidInput(f"--set {setting}: expected NAME=VALUE, such as population=40")
        parameters[found[0]] = found[1]
    return parameters
