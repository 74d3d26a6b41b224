"""The benchmark of optimizers, from the request to the tables."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from blackbox_am import plots
from blackbox_am.bench import efficiency, optimizer_sheets, overhead, problems, searching, sheets
from blackbox_am.bench.measurement import without_nan
from blackbox_am.errors import InvalidInput
from blackbox_am.plots.style import SERIES

PARTS = ("overhead", "efficiency")
PROBLEMS = ("cnn+vae",)
OPTIMIZERS = (
    "auto", "snes", "sep_cma", "cma", "lowrank_cma", "sphere_cma", "open_es", "ga", "de", "pso",
    "random", "pycma,variant=sep", "nevergrad,optimizer=DiagonalCMA",
    "nevergrad,optimizer=TwoPointsDE", "adam",
)  # fmt: skip
DIMENSIONS = (128, 512, 1024, 4096)
POPULATIONS = (32, 64, 256)
TARGETS = (1, 64)
COMMAND = "blackbox-am bench optimizers"


@dataclass(frozen=True)
class Request:
    """A request for measurements; the fields are the options of the command."""

    parts: tuple[str, ...]
    problems: tuple[str, ...]
    optimizers: tuple[str, ...]
    noises: tuple[str, ...]
    units: int
    seeds: int
    queries: int
    dimensions: tuple[int, ...]
    jobs: int
    assets: Path | None
    first: int = 0

    def cells(self) -> list[efficiency.Cell]:
        """The searches, in the order of execution."""
        return [
            efficiency.Cell(
                problem, optimizer, noise, self.units, self.seeds, self.queries, self.first
            )
            for problem in self.problems
            for noise in self.noises
            for optimizer in self.optimizers
        ]

    def check(self) -> None:
        """Check the request before the measurement, which can take hours.

        Raises:
            InvalidInput: if a part, problem, optimizer or noise is unknown; the message names it.
        """
        for part in self.parts:
            if part not in PARTS:
                raise InvalidInput(f"part: expected {' or '.join(PARTS)}, got {part!r}")
        for name in self.problems:
            problems.problem(name, self.units, self.assets, self.first)
        for label in self.optimizers:
            efficiency.check_label(label)
        for noise in self.noises:
            searching.level(noise)


def run(
    request: Request,
    *,
    results: Path | None,
    page: Path | None,
    picture: Path | None,
    json_file: Path | None,
    say: Callable[[str], None],
) -> None:
    """Measure what is requested, print the tables, and write the given files."""
    request.check()
    sheets.check_page(page)
    tables: dict[str, list[sheets.Sheet]] = {}
    plain: dict[str, Any] = {}
    if "overhead" in request.parts:
        limits, costs = overhead.measure(request.dimensions, POPULATIONS, TARGETS, say)
        tables["overhead"] = [optimizer_sheets.cost_sheet(limits, costs)]
        plain["machine"] = asdict(limits)
        plain["overhead"] = [without_nan(asdict(cost)) for cost in costs]
    if "efficiency" in request.parts:
        cells = request.cells()
        outcomes = efficiency.run_all(cells, request.assets, results, request.jobs, say)
        tables[f"{request.queries} queries"] = optimizer_sheets.found_sheets(outcomes)
        plain["efficiency"] = [efficiency.plain(outcome) for outcome in outcomes]
        if picture is not None:
            _draw(outcomes, picture)
    _publish(tables, plain, page, json_file)


def show(results: Path, *, page: Path | None, picture: Path | None, json_file: Path | None) -> None:
    """Print the tables of the file `results`, and write the given files.

    Raises:
        InvalidInput: if the file has no results.
    """
    outcomes = efficiency.load(results)
    if not outcomes:
        raise InvalidInput(f"{results} contains no results; run without --only-show first")
    tables = {
        f"{queries} queries": optimizer_sheets.found_sheets(part)
        for queries, part in optimizer_sheets.by_budget(outcomes).items()
    }
    _publish(tables, {"efficiency": [efficiency.plain(o) for o in outcomes]}, page, json_file)
    if picture is not None:
        _draw(outcomes, picture)


def _publish(
    tables: dict[str, list[sheets.Sheet]],
    plain: dict[str, Any],
    page: Path | None,
    json_file: Path | None,
) -> None:
    sheets.publish(tables, COMMAND, page)
    if json_file is not None:
        json_file.write_text(json.dumps(plain, indent=1) + "\n")


def _draw(outcomes: list[efficiency.Outcome], path: Path) -> None:
    """Draw a panel for each problem and noise, with the curves of the best optimizers."""
    worked = [outcome for outcome in outcomes if not outcome.failure]
    panels = sorted({(o.cell.problem, o.cell.noise) for o in worked})
    found = {(o.cell.optimizer, o.cell.problem, o.cell.noise): o for o in worked}
    names = optimizer_sheets.by_rank(worked)[: len(SERIES)]
    searches = {name: [_curve(found.get((name, *panel))) for panel in panels] for name in names}
    titles = [f"{problem}\nnoise {noise}" for problem, noise in panels]
    figure = plots.convergence(
        searches,
        titles,
        levels=[_level(worked, panel) for panel in panels],
        level_name="natural maximum",
        heading=f"{worked[0].scale}, median",
        columns=3,
    )
    plots.save(figure, path)


def _level(worked: list[efficiency.Outcome], panel: tuple[str, str]) -> float:
    """The median natural maximum of the units of a panel, on its scale."""
    shown = next(o for o in worked if (o.cell.problem, o.cell.noise) == panel)
    return float(np.median(shown.natural_levels))


def _curve(outcome: efficiency.Outcome | None) -> plots.Curve:
    if outcome is None:
        return plots.Curve(np.empty(0, dtype=np.int64), np.empty(0))
    return plots.Curve(np.asarray(outcome.at), np.median(outcome.found, axis=(1, 2)))
