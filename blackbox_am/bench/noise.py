"""`blackbox-am bench noise`: how true the reported best of a noisy search is.

Two searches with equal seeds and budgets are compared: one reports the row with the best noisy
score, the other keeps a part of the budget and measures its candidates again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from blackbox_am.bench import measurement
from blackbox_am.bench.measurement import Measurement
from blackbox_am.bench.options import Assets, JsonFile, Problems, Seeds, Units

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Found:
    """The reported best candidates of K searches, over the natural maximum of their units.

    Attributes:
        reported: (K,) reported values.
        true: (K,) noise-free values of the same candidates.
        errors: (K,) standard errors of the reported values; nan without a re-check.
        centres: fraction of the searches that report the centre.
    """

    reported: Floats
    true: Floats
    errors: Floats
    centres: float


def noise(
    problem: Problems = None,
    optimizer: Annotated[
        list[str] | None,
        typer.Option("--optimizer", "-o", help="NAME or NAME,PARAMETER=VALUE. Repeatable."),
    ] = None,
    level: Annotated[
        str, typer.Option("--noise", help="Deviation of a random factor, or poisson.")
    ] = "0.5",
    units: Units = 12,
    seeds: Seeds = 1,
    queries: Annotated[int, typer.Option(help="Budget of each search.", min=40)] = 1000,
    fraction: Annotated[
        float, typer.Option(help="Part of the budget for the re-check.", min=0.01, max=0.9)
    ] = 0.1,
    assets: Assets = None,
    json_file: JsonFile = None,
) -> None:
    """Measure how true the reported best of a noisy search is.

    reported / true: the reported value over the noise-free activation of the same candidate. The
    target holds for the re-measured best.

    true: the noise-free activation of the reported candidate over the natural maximum of its unit.
    The baseline of both is the row with the best noisy score, with the whole budget for the
    search. Medians over units and seeds, with quartiles.

        blackbox-am bench noise --problem resnet20+vae --assets ASSETS
    """
    lines = measured(
        tuple(problem or ("cnn+vae",)),
        tuple(optimizer or ("auto",)),
        level,
        units,
        seeds,
        queries,
        fraction,
        assets,
        lambda text: typer.echo(text, err=True),
    )
    title = f"bench noise: {level}, {units} units, {seeds} seeds, {queries} queries"
    measurement.show(title, lines, json_file)


def measured(
    problems: Sequence[str],
    optimizers: Sequence[str],
    level: str,
    units: int,
    seeds: int,
    queries: int,
    fraction: float,
    assets: Path | None,
    say: Callable[[str], None],
) -> list[Measurement]:
    """The lines of the table; arguments are those of the command.

    Raises:
        BlackboxError: for an unknown problem or optimizer.
    """
    lines: list[Measurement] = []
    for problem in problems:
        for optimizer in optimizers:
            lucky, honest = (
                search(problem, optimizer, level, units, seeds, queries, part, assets)
                for part in (0.0, fraction)
            )
            name = f"{problem}, {optimizer}"
            say(f"{name}: {honest.centres:.0%} report the centre of the search")
            told = honest.reported / honest.true
            low, middle, high = np.percentile(told, [25, 50, 75])
            before = float(np.median(lucky.reported / lucky.true))
            lines.append(
                Measurement(
                    f"{name}: reported / true",
                    float(middle),
                    "",
                    before,
                    float(middle),
                    ".95 to 1.05",
                    bool(0.95 <= middle <= 1.05),
                    float(low),
                    float(high),
                )
            )
            within = np.abs(honest.reported - honest.true) <= 2 * honest.errors
            lines.append(Measurement(f"{name}: within 2 standard errors", float(within.mean()), ""))
            low, middle, high = np.percentile(honest.true, [25, 50, 75])
            lines.append(
                Measurement(
                    f"{name}: true",
                    float(middle),
                    "nat. max",
                    float(np.median(lucky.true)),
                    float(middle / np.median(lucky.true)),
                    ">= 1.2 nat. max",
                    bool(middle >= 1.2),
                )
            )
    return lines


def search(
    problem: str,
    optimizer: str,
    level: str,
    units: int,
    seeds: int,
    queries: int,
    fraction: float,
    assets: Path | None,
) -> Found:
    """Searches every unit `seeds` times; with a re-check if `fraction` is above 0."""
    from blackbox_am.bench import problems, searching

    made = problems.problem(problem, units, assets)
    name, parameters = problems.parsed_label(optimizer)
    result = searching.search(
        made, seeds, name, parameters, queries=queries, noise=level, recheck_fraction=fraction
    )
    checks = [best.recheck for best in result.best]
    errors = [np.nan if one is None else one.best.standard_error or np.nan for one in checks]
    return Found(
        np.array([best.score for best in result.best]),
        searching.noise_free_best(result, made, seeds),
        np.array(errors),
        float(np.mean([one is not None and one.source == "centre" for one in checks])),
    )
