"""Query efficiency of optimizers on units of real networks.

A cell is one optimizer on one problem at one noise level. All units and all seeds are the K
targets of one search, so that one forward pass serves all of them. The result at n queries is a
noise-free activation over the unit's natural maximum: that of the stimulus with the best (noisy)
score among the first n. If a natural maximum is not above 0, activations are standardised instead.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from blackbox_am import Result
from blackbox_am.bench import naturals, problems, searching, squeezenet
from blackbox_am.core.spec import OptimizerSpec
from blackbox_am.core.tensors import to_uint8
from blackbox_am.errors import BlackboxError, InvalidInput
from blackbox_am.evaluation.kid import features
from blackbox_am.evaluation.plausibility import strangeness
from blackbox_am.plugins import build_optimizer

Floats = NDArray[np.float64]
Say = Callable[[str], None]

BUDGETS = (100, 300, 1000, 3000, 10_000, 30_000)
"""Numbers of queries at which every curve of sufficient length is recorded."""


@dataclass(frozen=True)
class Cell:
    """One search of a benchmark.

    Attributes:
        problem: name of the problem, see `problems`.
        optimizer: label of the optimizer: its name, and its parameters if they are not the
            defaults, such as `snes,population=40`. `naturals=50` among them is no parameter of the
            optimizer: see `naturals`.
        noise: a number such as `0` or `.5` is the deviation of a random factor with mean 1;
            `poisson` counts spikes, 20 on average at the natural maximum.
        units: number of units.
        seeds: number of seeds for each unit.
        queries: budget of each target.
        first: number of units of the problem that are left out before them.
    """

    problem: str
    optimizer: str
    noise: str
    units: int
    seeds: int
    queries: int
    first: int = 0

    @property
    def study(self) -> str:
        """The id of the cell's study; the budget is not part of it, and can be extended."""
        text = json.dumps({**asdict(self), "queries": 0}, sort_keys=True)
        return f"bench-{hashlib.blake2b(text.encode(), digest_size=8).hexdigest()}"

    @property
    def key(self) -> str:
        """The key of the cell in a file of results."""
        return json.dumps(asdict(self), sort_keys=True)


@dataclass(frozen=True)
class Outcome:
    """The result of a cell.

    Attributes:
        cell: the cell.
        at: recorded numbers of queries.
        found: (len(at), units, seeds) activation on the scale of the problem.
        seconds: duration of the search in seconds.
        failure: error message if the optimizer refused or failed; then `found` is empty.
        strange: (units, seeds) distance of the final stimuli to the nearest natural image, see
            `evaluation.plausibility`; empty if not requested.
        pictures: (units, *stimulus) uint8, the best stimulus over all seeds; empty if not
            requested.
        scale: the scale, see `Problem.scale`.
        levels: (units,) the natural maximum of each unit on the scale; empty if it is 1 for all.
        recognised: (units,) whether the model assigns the best stimulus to the unit's class; empty
            if the units are not the logits of a classifier.
    """

    cell: Cell
    at: tuple[int, ...]
    found: Floats
    seconds: float
    failure: str = ""
    strange: Floats = field(default_factory=lambda: np.empty((0, 0)))
    pictures: NDArray[np.uint8] = field(default_factory=lambda: np.empty(0, np.uint8))
    recognised: tuple[bool, ...] = ()
    scale: str = problems.RATIO
    levels: Floats = field(default_factory=lambda: np.empty(0))

    @property
    def natural_levels(self) -> Floats:
        """(units,) the natural maximum of each unit on the scale."""
        return self.levels if self.levels.size else np.ones(self.cell.units)


def optimizer_spec(label: str) -> OptimizerSpec:
    """The optimizer of a label such as `snes,population=40`.

    Raises:
        InvalidInput: if a parameter has no value.
    """
    name, parameters = problems.parsed_label(label)
    return OptimizerSpec(name, naturals.without(parameters)[0])


def check_label(label: str) -> None:
    """Check that an optimizer can be built from its label.

    Raises:
        InvalidSpec: if the name or a parameter is unknown.
    """
    build_optimizer(optimizer_spec(label))


def checkpoints(queries: int) -> tuple[int, ...]:
    """Numbers of queries at which curves are recorded: about 12 in each decade, and the budget."""
    first = min(50, queries)
    steps = np.geomspace(first, queries, max(2, round(12 * math.log10(queries / first))))
    budgets = {n for n in BUDGETS if n <= queries}
    return tuple(sorted({int(step) for step in steps} | {queries} | budgets))


def run(
    cell: Cell, assets: Path | None, results: Path | None = None, *, look: bool = False
) -> Outcome:
    """Search one cell; with `look` also compute strangeness and pictures.

    Beside the file `results` stands a journal, from which a search that was stopped continues.
    """
    torch.set_num_threads(1)
    started = time.perf_counter()
    problem = problems.problem(cell.problem, cell.units, assets, cell.first)
    at = checkpoints(cell.queries)
    try:
        result, found = _search(problem, cell, at, results)
        found = found.reshape(len(at), cell.units, cell.seeds)
        looks: tuple[Any, ...] = ()
        if look:
            looks = _looks(problem, searching.best_latents(result), found[-1], assets)
    except BlackboxError as error:
        return Outcome(cell, at, np.empty(0), time.perf_counter() - started, error.message)
    outcome = Outcome(cell, at, found, time.perf_counter() - started, "", *looks)
    if problem.has_ratios:
        return outcome
    levels = problem.relative(problem.natural_maxima).numpy()
    return replace(outcome, scale=problem.scale, levels=levels)


def _search(
    problem: problems.Problem, cell: Cell, at: tuple[int, ...], results: Path | None
) -> tuple[Result, Floats]:
    """The search of a cell, and (len(at), K) what it found after each number of queries."""
    name, parameters = problems.parsed_label(cell.optimizer)
    parameters, images = naturals.without(parameters)

    def search(queries: int, start: NDArray[Any] | None = None) -> Result:
        return searching.search(
            problem,
            cell.seeds,
            name,
            parameters,
            queries=queries,
            noise=cell.noise,
            start=start,
            store=":memory:" if results is None else results.with_suffix(".sqlite3"),
            name=cell.study,
        )

    if not images:
        result = search(cell.queries)
        return result, searching.noise_free(result, problem, cell.seeds, cell.noise, at)
    if searching.level(cell.noise) != 0 or images >= cell.queries:
        raise InvalidInput(
            f"{naturals.PARAMETER}: expected no noise and fewer images than {cell.queries} "
            f"queries, got noise {cell.noise} and {images} images"
        )
    measured = naturals.measure(problem, cell.seeds, images)
    result = search(cell.queries - images, measured.start)
    later = [n - images for n in at if n > images]
    found = searching.noise_free(result, problem, cell.seeds, cell.noise, later)
    before = measured.best[[n - 1 for n in at if n <= images]]
    return result, np.concatenate([before, np.maximum(found, measured.best[-1])])


def _looks(
    problem: problems.Problem, latents: torch.Tensor, found: Floats, assets: Path | None
) -> tuple[Floats, NDArray[np.uint8], tuple[bool, ...]]:
    """The fields `strange`, `pictures` and `recognised` of `Outcome`, for the final latents."""
    stimuli = _rendered(problem, latents)
    strange = strangeness(features(stimuli), features(problem.images))
    best = stimuli.reshape(*found.shape, *stimuli.shape[1:])[range(len(found)), found.argmax(1)]
    recognised: tuple[bool, ...] = ()
    if assets is not None and problem.name.startswith(squeezenet.NAME):
        classes = squeezenet.recognised(best, assets).tolist()
        recognised = tuple(
            str(unit) == f"logits:{number}"
            for unit, number in zip(problem.units, classes, strict=True)
        )
    plain = strange.numpy().reshape(found.shape).astype(np.float64)
    return plain, to_uint8(best.numpy()), recognised


def _rendered(problem: problems.Problem, latents: torch.Tensor) -> torch.Tensor:
    """Stimuli (K, *stimulus) of latents (K, D); row k belongs to target k."""
    size = problem.oracle.describe().batch_size
    rows, targets = torch.split(latents, size), torch.split(torch.arange(len(latents)), size)
    with torch.no_grad():
        return torch.cat(
            [problem.generator.render_targets(*part) for part in zip(rows, targets, strict=True)]
        )


def run_all(
    cells: Sequence[Cell],
    assets: Path | None,
    results: Path | None,
    jobs: int,
    say: Say,
    *,
    look: bool = False,
) -> list[Outcome]:
    """The outcomes of `cells`, in the same order.

    Args:
        cells: the cells.
        assets: folder of assets, or None.
        results: file to which each outcome is appended; cells in this file are not repeated, and
            a cell that was stopped continues.
        jobs: number of processes.
        say: called with a text after each outcome.
        look: whether to compute strangeness and pictures; cells that `results` contains without
            them are then repeated.
    """
    known = {
        outcome.cell.key: outcome
        for outcome in load(results)
        if outcome.failure or outcome.strange.size or not look
    }
    missing = [cell for cell in cells if cell.key not in known]
    say(f"{len(cells) - len(missing)} of {len(cells)} searches are in the results already")
    for number, outcome in enumerate(_run_missing(missing, assets, results, jobs, look=look), 1):
        known[outcome.cell.key] = outcome
        if results is not None:
            with results.open("a") as file:
                file.write(json.dumps(plain(outcome)) + "\n")
        what = outcome.failure or f"{np.median(outcome.found[-1]):.3f}"
        cell = outcome.cell
        say(
            f"[{number} of {len(missing)}] {cell.problem}, noise {cell.noise}, {cell.optimizer}: "
            f"{what} ({outcome.seconds:.0f} s)"
        )
    return [known[cell.key] for cell in cells]


def _run_missing(
    cells: Sequence[Cell], assets: Path | None, results: Path | None, jobs: int, *, look: bool
) -> Iterable[Outcome]:
    if jobs == 1:
        yield from (run(cell, assets, results, look=look) for cell in cells)
        return
    # Forked processes would share torch's threads and locks.
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        waiting = [pool.submit(run, cell, assets, results, look=look) for cell in cells]
        for future in as_completed(waiting):
            yield future.result()


def plain(outcome: Outcome) -> dict[str, Any]:
    """The outcome as plain data for a JSON line; `load` reads it."""
    return {
        **asdict(outcome),
        "found": outcome.found.tolist(),
        "strange": outcome.strange.tolist(),
        "levels": outcome.levels.tolist(),
        "pictures": {
            "shape": outcome.pictures.shape,
            "base64": base64.b64encode(outcome.pictures.tobytes()).decode(),
        },
    }


def load(results: Path | None) -> list[Outcome]:
    """The outcomes of a file, the last of each cell; an empty list if there is no file."""
    if results is None or not results.exists():
        return []
    outcomes = {}
    for line in results.read_text().splitlines():
        plain = json.loads(line)
        outcome = Outcome(
            Cell(**plain["cell"]),
            tuple(plain["at"]),
            np.asarray(plain["found"], dtype=np.float64),
            plain["seconds"],
            plain["failure"],
            np.asarray(plain.get("strange", [[]]), dtype=np.float64),
            _pictures(plain.get("pictures")),
            tuple(plain.get("recognised", ())),
            plain.get("scale", problems.RATIO),
            np.asarray(plain.get("levels", []), dtype=np.float64),
        )
        outcomes[outcome.cell.key] = outcome
    return list(outcomes.values())


def _pictures(plain: dict[str, Any] | None) -> NDArray[np.uint8]:
    if plain is None:
        return np.empty(0, np.uint8)
    return np.frombuffer(base64.b64decode(plain["base64"]), np.uint8).reshape(plain["shape"])
