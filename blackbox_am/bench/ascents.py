"""What `bench gradients` measures: ascents, estimated gradients, and searches without gradients.

Budgets are query-equivalents: a forward pass counts 1, a forward and a backward pass count 2. An
optimizer of order 1 so has half the rows of one of order 0.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from blackbox_am import plugins
from blackbox_am.bench import lucid, rival_ascents
from blackbox_am.bench.measurement import Measurement, compare, in_turn
from blackbox_am.bench.problems import Problem, parsed_label, problem
from blackbox_am.bench.progress import say
from blackbox_am.bench.searching import Floats, search
from blackbox_am.core.parameters import with_parameters
from blackbox_am.evaluation import LocalEvaluator, Rows
from blackbox_am.objectives.mean import Mean

BASELINE = "adam"
BATCH = 32
"""K of the first part."""
FASTER = 3.0
"""How many times faster one backward pass for `BATCH` targets should be than single ones."""


@dataclass(frozen=True)
class Request:
    """What is measured.

    Attributes:
        problems: names of the problems.
        optimizers: labels of the optimizers that are compared with `adam`.
        units: units of each problem.
        first: units to leave out before these, for example those on which parameters were chosen.
        seeds: searches for each unit.
        equivalents: budget of each search, in query-equivalents.
        repeats: pairs of measurements of the batch.
        assets: folder with more models.
    """

    problems: tuple[str, ...]
    optimizers: tuple[str, ...]
    units: int
    first: int
    seeds: int
    equivalents: int
    repeats: int
    assets: Path | None


def batch(request: Request) -> list[Measurement]:
    """The time of single backward passes over that of one for `BATCH` targets."""
    lines = []
    for name in request.problems:
        case = problem(name, 1, request.assets)
        address = str(case.units[0]).partition(":")[0]
        objectives = tuple(Mean((f"{address}:{k % 8}",)) for k in range(BATCH))
        latents = torch.randn(
            BATCH, 1, case.generator.space.dim, generator=torch.Generator().manual_seed(0)
        )
        together = LocalEvaluator(case.generator, case.oracle, objectives, BATCH)
        single = [LocalEvaluator(case.generator, case.oracle, (one,), 1) for one in objectives]
        rows = Rows.of(latents, range(BATCH))
        alone = [Rows.of(latents[k : k + 1], [0]) for k in range(BATCH)]

        def one_by_one(single: list[LocalEvaluator] = single, alone: list[Rows] = alone) -> None:
            for evaluator, row in zip(single, alone, strict=True):
                evaluator.submit(row, gradients=True).result()

        def at_once(together: LocalEvaluator = together, rows: Rows = rows) -> None:
            together.submit(rows, gradients=True).result()

        took = in_turn(
            {"one by one": one_by_one, "at once": at_once},
            request.repeats,
            f"{name}, {BATCH} targets",
            say,
        )
        lines.append(
            compare(
                f"{name}: {BATCH} backward passes over one",
                took["one by one"],
                took["at once"],
                "s",
                at_least=FASTER,
            )
        )
    return lines


def optimizers(request: Request) -> list[Measurement]:
    """The activations of each optimizer over those of `adam`."""
    lines = []
    for name in request.problems:
        case = problem(name, request.units, request.assets, request.first)
        base = activations(case, BASELINE, request.seeds, request.equivalents)
        lines.append(Measurement(f"{name}, {BASELINE}: median", float(np.median(base)), "nat. max"))
        for label in request.optimizers:
            found = activations(case, label, request.seeds, request.equivalents)
            say(f"{name}, {label}: {np.median(found / base):.3f} of {BASELINE}")
            lines.append(compare(f"{name}, {label}", found.tolist(), base.tolist(), "nat. max"))
    return lines


def activations(case: Problem, label: str, seeds: int, equivalents: int) -> Floats:
    """(units * seeds,) activation over natural maximum of the best row of each search.

    Args:
        case: the units.
        label: the optimizer, as NAME,PARAMETER=VALUE,...
        seeds: searches of each unit.
        equivalents: budget of each, in query-equivalents.
    """
    name, parameters = parsed_label(label)
    found = search(
        case,
        seeds,
        name,
        parameters,
        queries=rows_of(name, parameters, equivalents),
        noise="0",
    )
    scores: Floats = np.array([best.score for best in found.best], np.float64)
    return scores


def rows_of(name: str, parameters: dict[str, Any], equivalents: int) -> int:
    """The rows of a search that costs `equivalents` query-equivalents."""
    order = plugins.optimizers.build(name, parameters).order
    return equivalents // (1 + order)


def against_lucid(request: Request) -> list[Measurement]:
    """Activations of `adam` in `fourier` over those of Lucid's loop."""
    used = "lucent's parametrisation" if lucid.installed() else "formulas of bench/lucid.py"
    say(f"lucid: {used}")
    lines = []
    for oracle, case in _of_oracles(request):
        theirs = lucid.climb(case.oracle, case.units, request.seeds)
        lines += _over(request, oracle, case, {"Lucid": theirs}, lucid.STEPS)
    return lines


def against_rivals(request: Request) -> list[Measurement]:
    """Activations of `adam` in `fourier` over those of the programs that are installed."""
    usable = {}
    for name, (_, ascent) in rival_ascents.PROGRAMS.items():
        reason = rival_ascents.missing(name)
        if reason:
            say(f"rivals: {name} skipped: {reason}")
        else:
            usable[name] = ascent
    lines = []
    for oracle, case in _of_oracles(request) if usable else []:
        theirs = {
            name: rival_ascents.climb(case.oracle, case.units, request.seeds, ascent)
            for name, ascent in usable.items()
        }
        lines += _over(request, oracle, case, theirs, rival_ascents.STEPS)
    return lines


def _of_oracles(request: Request) -> list[tuple[str, Problem]]:
    """Each oracle of the problems, with its units behind Fourier images."""
    names = dict.fromkeys(name.partition("+")[0] for name in request.problems)
    return [
        (name, problem(f"{name}+fourier_32", request.units, request.assets, request.first))
        for name in names
    ]


def _over(
    request: Request, oracle: str, case: Problem, theirs: dict[str, Floats], steps: int
) -> list[Measurement]:
    """Activations of `adam` with all frequencies over those of others after as many steps."""
    zero, one = (numbers.repeat_interleave(request.seeds) for numbers in case.zero_and_one)
    whole = with_all_frequencies(case)
    lines = []
    for label in ("adam,population=1", "adam,population=1,schedule=cosine"):
        found = activations(whole, label, request.seeds, 2 * steps)
        lines += [
            compare(
                f"{oracle}, {label} over {name}",
                found.tolist(),
                ((scores - zero.numpy()) / one.numpy()).tolist(),
                "nat. max",
                at_least=1.0,
            )
            for name, scores in theirs.items()
        ]
    return lines


def with_all_frequencies(case: Problem) -> Problem:
    """The same units behind the generator `fourier` without a cut-off."""
    longest = float(max(case.generator.stimulus_shape))
    whole = with_parameters(case.generator, "fourier", {"cycles": longest + 1})
    return replace(case, generator=whole)


def threads() -> int:
    """The number of threads of a computation."""
    return torch.get_num_threads()
