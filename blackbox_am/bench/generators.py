"""The benchmark of generators: rendering speed, and searches in their latent spaces."""

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
from blackbox_am.bench import bare, efficiency, encoding, generator_sheets, problems, sheets
from blackbox_am.bench.measurement import without_nan
from blackbox_am.core.generator import Generator
from blackbox_am.core.rng import Stream
from blackbox_am.errors import InvalidInput

USUAL = ("speed", "search")
PARTS = (*USUAL, "basis", "encode")
BASES = (
    "",
    "/basis,power=0.25",
    "/basis",
    "/basis,power=0,dimensions=32",
    "/basis,dimensions=32",
    "/basis,power=0,growth=32",
    "/basis,growth=32",
)
"""Wrappers of each generator in the part `basis`: none; directions scaled by eigenvalue^-1/4 and
by eigenvalue^-1/2; truncated to 32 directions, without and with scales; growing by 32 directions,
without and with scales.
"""
COMMAND = "blackbox-am bench generators"
ROWS = 64
SHOWN = 8
"""Number of units in the picture."""


@dataclass(frozen=True)
class Request:
    """A request for measurements; the fields are the options of the command."""

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
        """The searches of a part: one for each generator, in `basis` one for each basis."""
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
        """The requested parts that perform searches."""
        return [part for part in self.parts if part not in ("speed", "encode")]

    def check(self) -> None:
        """Check the request before the measurement, which can take hours.

        Raises:
            InvalidInput: if a part, generator, oracle or optimizer is unknown; the message names
                it.
        """
        for part in self.parts:
            if part not in PARTS:
                raise InvalidInput(f"part: expected {' or '.join(PARTS)}, got {part!r}")
        for part in self.searches or [
            "search"
        ]:  # checks generators and oracle even if no part searches
            for cell in self.cells(part):
                problems.problem(cell.problem, self.units, self.assets)
                efficiency.check_label(cell.optimizer)


@dataclass(frozen=True)
class Speed:
    """Rendering speed of a generator.

    Attributes:
        name: name of the generator.
        dimension: latent dimension D.
        differentiable: whether the generator has gradients.
        rows_per_second: median over repeats, for batches of `ROWS` rows.
        bare: rows a second of the bare module; nan if there is none.
        ratio: median of the paired ratios of bare module and generator.
        low: lower quartile of the ratios.
        high: upper quartile of the ratios.
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
    """Measure what is requested, print the tables, and write the given files."""
    request.check()
    sheets.check_page(page)
    tables: dict[str, list[sheets.Sheet]] = {}
    plain: dict[str, Any] = {}
    if "speed" in request.parts:
        names = [label.partition("+")[0] for label in request.generators]
        speeds = [speed(name, request, say) for name in names]
        tables["speed"] = [generator_sheets.speed_sheet(speeds)]
        plain["speed"] = [without_nan(asdict(found)) for found in speeds]
    if "encode" in request.parts:
        encodings = encode(request, say)
        tables["encode"] = [encoding.sheet(encodings, request.oracle)]
        plain["encode"] = [asdict(found) for found in encodings]
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


def encode(request: Request, say: Callable[[str], None]) -> list[encoding.Encoding]:
    """Measure the encoders of the generators that have one.

    Raises:
        InvalidInput: if none has an encoder.
    """
    found = []
    for name in (label.partition("+")[0] for label in request.generators):
        problem = problems.problem(f"{request.oracle}+{name}", request.units, request.assets)
        if not problem.generator.encodes:
            say(f"{name}: no encoder")
            continue
        found.append(encoding.measure(name, problem))
        say(f"{name}: {found[-1].decibels:.1f} dB")
    if not found:
        raise InvalidInput("none of these generators has an encoder, so there is nothing to show")
    return found


def speed(name: str, request: Request, say: Callable[[str], None]) -> Speed:
    """Measure the generator and its bare module in turn, `request.repeats` times each."""
    generator = problems.generator(name, request.assets)
    module = bare.module(name)
    latents = generator.space.sample(Stream(0, "speed", 0), ROWS)[0]
    ours, theirs = [], []
    for repeat in range(request.repeats + 1):
        rendering = _seconds(generator.render, latents)
        alone = np.nan if module is None else _seconds(module, latents)
        if repeat:  # the first repeat is a warm-up
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
    """Draw the best natural images, and the best stimuli of each generator; one column for each
    unit.

    The number below a stimulus is its activation over the unit's natural maximum, or standardised.

    Raises:
        InvalidInput: if every search failed.
    """
    worked = [outcome for outcome in outcomes if not outcome.failure and outcome.pictures.size]
    if not worked:
        raise InvalidInput("every search failed, so there is nothing to draw; the table says why")
    problem = problems.problem(worked[0].cell.problem, request.units, request.assets)
    units = problem.units[:SHOWN]
    natural = problem.images[problem.natural_best[:SHOWN]].numpy()
    rows = [plots.Row("best\nnatural", list(natural), [1.0] * len(natural))]
    rows += [
        plots.Row(
            generator_sheets.name_of(outcome, request.optimizer).replace(" ", "\n"),
            list(outcome.pictures[:SHOWN]),
            outcome.found[-1].max(axis=1)[:SHOWN].tolist(),
        )
        for outcome in worked
    ]
    heading = (
        f"best of {request.seeds} searches of {request.queries:,} queries, {request.optimizer}; "
        f"{worked[0].scale}"
    )
    titles = [str(unit).replace("@", "\n@") for unit in units]
    plots.save(plots.montage(rows, titles, heading=heading), path)
