"""The benchmark of generators: how fast they render, and what is found in their spaces."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from blackbox_am import plots
from blackbox_am.bench import bare, efficiency, generator_sheets, problems, sheets
from blackbox_am.bench.measurement import without_nan
from blackbox_am.core.generator import Generator
from blackbox_am.core.rng import Stream
from blackbox_am.errors import InvalidInput

USUAL = ("speed", "search")
PARTS = (*USUAL, "basis")
BASES = (
    "",
    "/basis,power=0.25",
    "/basis",
    "/basis,power=0,dimensions=32",
    "/basis,dimensions=32",
    "/basis,power=0,growth=32",
    "/basis,growth=32",
)
"""What the part `basis` searches each generator in: as it is; scaled by eigenvalue^-1/4 and
^-1/2; cut off after 32 directions without scales and with them; grown likewise.
"""
COMMAND = "blackbox-am bench generators"
ROWS = 64
SHOWN = 8
"""Units that the picture shows."""


@dataclass(frozen=True)
class Request:
    """What to measure; see the options of the command."""

    parts: tuple[str, ...]
    oracle: str
    generators: tuple[str, ...]
    optimizer: str
    units: int
    seeds: int
    queries: int
    repeats: int
    jobs: int
    assets: Path | None

    def cells(self, part: str) -> list[efficiency.Cell]:
        """The searches of a part: one a generator, or one for each of its bases."""
        bases = BASES if part == "basis" else ("",)
        return [self._cell(name, basis) for name in self.generators for basis in bases]

    def _cell(self, label: str, basis: str) -> efficiency.Cell:
        name, _, own = label.partition("+")
        return efficiency.Cell(
            problem=f"{self.oracle}+{name}{basis}",
            optimizer=own or self.optimizer,
            noise="0",
            units=self.units,
            seeds=self.seeds,
            queries=self.queries,
        )

    @property
    def searches(self) -> list[str]:
        """The parts that search."""
        return [part for part in self.parts if part != "speed"]

    def check(self) -> None:
        """Finds out what cannot be measured before hours have gone into the rest.

        Raises:
            InvalidInput: naming the part, generator, oracle or optimizer that there is not.
        """
        for part in self.parts:
            if part not in PARTS:
                raise InvalidInput(f"part: expected {' or '.join(PARTS)}, got {part!r}")
        for part in self.searches or ["search"]:  # its cells name whatever is only rendered
            for cell in self.cells(part):
                problems.problem(cell.problem, self.units, self.assets)
                efficiency.check_label(cell.optimizer)


@dataclass(frozen=True)
class Speed:
    """How fast a generator renders.

    Attributes:
        name: of the generator.
        dimension: D.
        differentiable: whether gradients go through it.
        rows_per_second: median over repeats, `ROWS` rows a time.
        bare: the same of the module alone; nan where there is none.
        ratio, low, high: median and quartiles of the paired ratios of both.
    """

    name: str
    dimension: int
    differentiable: bool
    rows_per_second: float
    bare: float
    ratio: float
    low: float
    high: float


def run(
    request: Request,
    *,
    results: Path | None,
    page: Path | None,
    picture: Path | None,
    json_file: Path | None,
    say: Callable[[str], None],
) -> None:
    """Measures what `request` asks for, prints it, and writes it where files are named."""
    request.check()
    tables: dict[str, list[sheets.Sheet]] = {}
    plain: dict[str, Any] = {}
    if "speed" in request.parts:
        names = [label.partition("+")[0] for label in request.generators]
        speeds = [speed(name, request, say) for name in names]
        tables["speed"] = [generator_sheets.speed_sheet(speeds)]
        plain["speed"] = [without_nan(asdict(found)) for found in speeds]
    for part in request.searches:
        cells = request.cells(part)
        outcomes = efficiency.run_all(cells, request.assets, results, request.jobs, say, look=True)
        tables[part] = [generator_sheets.search_sheet(outcomes, request.optimizer)]
        plain[part] = [efficiency.plain(outcome) for outcome in outcomes]
        if picture is not None and part == "search":
            draw(outcomes, request, picture)
    sheets.publish(tables, COMMAND, page)
    if json_file is not None:
        json_file.write_text(json.dumps(plain, indent=1) + "\n")


def speed(name: str, request: Request, say: Callable[[str], None]) -> Speed:
    """Renders and runs the bare module in turn, `repeats` times each."""
    generator = problems.generator(name, request.assets)
    module = bare.module(name)
    latents = generator.space.sample(Stream(0, "speed", 0), ROWS)[0]
    ours, theirs = [], []
    for repeat in range(request.repeats + 1):
        rendering = _seconds(generator.render, latents)
        alone = np.nan if module is None else _seconds(module, latents)
        if repeat:  # the first of each warms up
            ours.append(rendering)
            theirs.append(alone)
    found = _speed(name, generator, np.asarray(ours), np.asarray(theirs))
    against = "" if module is None else f", {found.ratio:.3f} of the bare module"
    say(f"{name}: {found.rows_per_second:,.0f} rows/s{against}")
    return found


def _seconds(render: Callable[[torch.Tensor], Any], latents: torch.Tensor) -> float:
    with torch.no_grad():
        started = time.perf_counter()
        render(latents)
        return time.perf_counter() - started


def _speed(name: str, generator: Generator, ours: Any, theirs: Any) -> Speed:
    low, middle, high = (float(q) for q in np.percentile(theirs / ours, [25, 50, 75]))
    return Speed(
        name,
        generator.space.dim,
        generator.differentiable,
        ROWS / float(np.median(ours)),
        ROWS / float(np.median(theirs)),
        middle,
        low,
        high,
    )


def draw(outcomes: Sequence[efficiency.Outcome], request: Request, path: Path) -> None:
    """What was found: a row a generator, a column a unit, activation over natural maximum below.

    Raises:
        InvalidInput: where no search worked.
    """
    worked = [outcome for outcome in outcomes if not outcome.failure and outcome.pictures.size]
    if not worked:
        raise InvalidInput("no search worked, so there is nothing to draw")
    units = problems.problem(worked[0].cell.problem, request.units, request.assets).units[:SHOWN]
    rows = [
        plots.Row(
            generator_sheets.name_of(outcome, request.optimizer).replace(" ", "\n"),
            list(outcome.pictures[:SHOWN]),
            outcome.found[-1].max(axis=1)[:SHOWN].tolist(),
        )
        for outcome in worked
    ]
    heading = (
        f"best of {request.seeds} searches of {request.queries:,} queries, {request.optimizer}; "
        "activation over natural maximum"
    )
    titles = [str(unit).replace("@", "\n@") for unit in units]
    plots.save(plots.montage(rows, titles, heading=heading), path)
