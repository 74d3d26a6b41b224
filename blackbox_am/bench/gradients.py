"""`blackbox-am bench gradients`: gradient ascents, estimated gradients, and searches without."""

from __future__ import annotations

from typing import Annotated

import typer

from blackbox_am.bench import measurement
from blackbox_am.bench.measurement import Measurement
from blackbox_am.bench.options import Assets, JsonFile, Problems, Seeds, Units
from blackbox_am.errors import InvalidInput

PARTS = ("batch", "optimizers", "lucid", "rivals")
OPTIMIZERS = ("nadam", "sgd", "dgn_am", "langevin", "estimated_gradient", "sep_cma", "snes")


def gradients(
    part: Annotated[
        list[str] | None,
        typer.Option("--part", help="batch, optimizers, lucid or rivals; default all. Repeatable."),
    ] = None,
    problem: Problems = None,
    optimizer: Annotated[
        list[str] | None,
        typer.Option(
            "--optimizer", "-o", help="NAME or NAME,PARAMETER=VALUE; default a selection."
        ),
    ] = None,
    units: Units = 4,
    first_unit: Annotated[
        int, typer.Option(help="Number of units to leave out before these.", min=0)
    ] = 4,
    seeds: Seeds = 3,
    equivalents: Annotated[
        int, typer.Option(help="Budget of each search, in query-equivalents.", min=100)
    ] = 1000,
    repeats: Annotated[int, typer.Option(help="Repeats of the batch.", min=1)] = 5,
    assets: Assets = None,
    json_file: JsonFile = None,
) -> None:
    """Measure gradient ascents against each other and against searches without gradients.

    batch: time of 32 single forward and backward passes over the time of one for 32 targets.

    optimizers: the activation found, over that of adam for the same unit and seed, at equal
    query-equivalents (forward 1, forward and backward 2). Defaults were chosen on the first four
    units of the shipped models, so these are left out unless --first-unit says otherwise.

    lucid: adam in the generator `fourier`, with all frequencies, over a plain loop with the
    defaults of Lucid for as many steps.

    rivals: the same over the ascents of lucent and of Horama, where these are installed.
    """
    from blackbox_am.bench import ascents

    chosen = part or list(PARTS)
    for name in chosen:
        if name not in PARTS:
            raise InvalidInput(f"--part: unknown part {name!r}; expected {', '.join(PARTS)}")
    request = ascents.Request(
        tuple(problem or ("cnn+fourier_32", "vit+fourier_32", "cnn+sngan")),
        tuple(optimizer or OPTIMIZERS),
        units,
        first_unit,
        seeds,
        equivalents,
        repeats,
        assets,
    )
    ways = {
        "batch": ascents.batch,
        "optimizers": ascents.optimizers,
        "lucid": ascents.against_lucid,
        "rivals": ascents.against_rivals,
    }
    lines: list[Measurement] = [line for name in chosen for line in ways[name](request)]
    title = (
        f"bench gradients: {units} units, {seeds} seeds, {equivalents} query-equivalents, "
        f"{ascents.threads()} threads"
    )
    measurement.show(title, lines, json_file)
