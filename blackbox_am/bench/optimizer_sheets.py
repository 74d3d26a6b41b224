"""What the benchmark of optimizers says, as tables: costs, and what was found."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blackbox_am.bench.efficiency import BUDGETS, Floats, Outcome
from blackbox_am.bench.overhead import COUNTERPART, Cost, Machine
from blackbox_am.bench.sheets import Sheet

RESAMPLES = 2000
GRADIENT = "adam"
OF_GRADIENT = 0.95


# Costs


def cost_sheet(limits: Machine, costs: Sequence[Cost]) -> Sheet:
    """Milliseconds a generation, and what they compare with."""
    alone = {
        (cost.name, cost.dimension, cost.population): cost.seconds
        for cost in costs
        if cost.targets == 1
    }
    rows = tuple(_cost_row(cost, alone) for cost in costs)
    return Sheet(
        "ask + tell of one generation, one CPU thread",
        ("optimizer", "D", "P", "K", "ms", "over floor", "peer over ours", "K alone over batch"),
        rows,
        (
            (
                f"The machine draws {limits.normals / 1e6:.0f} million float32 normal numbers a "
                f"second, and does {limits.flops / 1e9:.0f} GFLOP/s in a float32 matrix product of "
                "2,048 x 2,048. The floor is the drawing of P D normal numbers (half of them for "
                "open_es); for cma the products and the factorisation of full covariances."
            ),
        ),
    )


def _cost_row(cost: Cost, alone: dict[tuple[str, int, int], float]) -> tuple[str, ...]:
    ours = alone.get((COUNTERPART.get(cost.name, ""), cost.dimension, cost.population))
    return (
        cost.name,
        f"{cost.dimension:,}",
        str(cost.population),
        str(cost.targets),
        f"{cost.seconds * 1e3:,.3f}",
        _number(cost.seconds / cost.floor, ".2f"),
        "" if ours is None else f"{cost.seconds / ours:.1f}",
        _number(cost.loop / cost.seconds, ".1f"),
    )


def _number(value: float, form: str) -> str:
    return "" if np.isnan(value) else format(value, form)


# What was found


def found_sheets(outcomes: Sequence[Outcome]) -> list[Sheet]:
    """One table for each problem and noise, the best optimizer first."""

    def place(outcome: Outcome) -> tuple[str, str]:
        return outcome.cell.problem, outcome.cell.noise

    ordered = sorted(outcomes, key=place)
    return [_found_sheet(list(group)) for _, group in groupby(ordered, key=place)]


def by_budget(outcomes: Sequence[Outcome]) -> dict[int, list[Outcome]]:
    """Outcomes by their budget. Ascents of gradients stand beside every search of the same
    problem and noise.
    """
    ascents = [outcome for outcome in outcomes if _climbs(outcome)]
    found: dict[int, list[Outcome]] = {}
    for outcome in outcomes:
        if not _climbs(outcome):
            found.setdefault(outcome.cell.queries, []).append(outcome)
    for part in found.values():
        places = {(o.cell.problem, o.cell.noise) for o in part}
        part += [o for o in ascents if (o.cell.problem, o.cell.noise) in places]
    return found


def _found_sheet(outcomes: list[Outcome]) -> Sheet:
    cell = outcomes[0].cell
    worked = [outcome for outcome in outcomes if not outcome.failure]
    gradient = _gradient(worked)
    searches = [o for o in worked if not _climbs(o)]
    looked = {n for outcome in searches for n in outcome.at if n in BUDGETS}
    budgets = sorted(
        looked | {outcome.cell.queries for outcome in outcomes if not _climbs(outcome)}
    )
    ranks = mean_ranks(searches, max(budgets))
    searches.sort(key=lambda outcome: ranks[outcome.cell.optimizer])
    rows = [
        (
            outcome.cell.optimizer,
            *(interval(outcome, n) for n in budgets),
            f"{ranks[outcome.cell.optimizer]:.1f}",
            median_queries(outcome, np.ones(outcome.cell.units)),
            "" if gradient is None else median_queries(outcome, OF_GRADIENT * gradient),
        )
        for outcome in searches
    ]
    rows += [
        (
            f"{o.cell.optimizer} (gradients; {o.cell.queries:,} queries, {o.cell.seeds} seeds)",
            *("" for _ in budgets[1:]),
            interval(o, o.cell.queries),
            *("", "", ""),
        )
        for o in worked
        if _climbs(o)
    ]
    return Sheet(
        f"{cell.problem}, noise {cell.noise}: activation over natural maximum, median of "
        f"{cell.units} units x {cell.seeds} seeds [95 % interval]",
        (
            "optimizer",
            *(f"{n:,} queries" for n in budgets),
            f"mean rank at {max(budgets):,}",
            "queries to natural max",
            "queries to 95 % of gradient",
        ),
        tuple(rows),
        tuple(f"{o.cell.optimizer}: {o.failure}." for o in outcomes if o.failure),
    )


def _climbs(outcome: Outcome) -> bool:
    return outcome.cell.optimizer.split(",")[0] == GRADIENT


def _gradient(outcomes: Sequence[Outcome]) -> Floats | None:
    """(units,) what gradient ascent reached at its best, where it was run."""
    found = [outcome.found[-1].max(axis=-1) for outcome in outcomes if _climbs(outcome)]
    return found[0] if found else None


def at_budget(outcome: Outcome, queries: int) -> Floats | None:
    """(units, seeds) found after so many queries, where that was looked at."""
    if outcome.failure or queries not in outcome.at:
        return None
    found: Floats = outcome.found[outcome.at.index(queries)]
    return found


def interval(outcome: Outcome, queries: int) -> str:
    """What was found by then: the median, and its 95 % interval."""
    found = at_budget(outcome, queries)
    if found is None:
        return ""
    low, high = bootstrap(found)
    return f"{np.median(found):.3f} [{low:.2f}, {high:.2f}]"


def bootstrap(found: NDArray[Any]) -> tuple[float, float]:
    """The 95 % interval of the median over units and seeds, by resampling both: units first,
    seeds within them.
    """
    units, seeds = found.shape
    random = np.random.default_rng(0)
    unit = random.integers(units, size=(RESAMPLES, units, 1))
    seed = random.integers(seeds, size=(RESAMPLES, units, seeds))
    medians = np.median(found[unit, seed], axis=(1, 2))
    low, high = np.percentile(medians, [2.5, 97.5])
    return float(low), float(high)


def mean_ranks(outcomes: Sequence[Outcome], queries: int) -> dict[str, float]:
    """The mean over units and seeds of each optimizer's place, 1 the best, at a budget."""
    found = {
        outcome.cell.optimizer: found
        for outcome in outcomes
        if (found := at_budget(outcome, queries)) is not None
    }
    if not found:
        return {outcome.cell.optimizer: np.inf for outcome in outcomes}
    stacked = np.stack(list(found.values()))
    places = (
        (stacked[:, None] < stacked[None]).sum(1)
        + (stacked[:, None] == stacked[None]).sum(1) / 2
        + 0.5
    )
    ranks = places.mean(axis=(1, 2))
    return {
        **{outcome.cell.optimizer: np.inf for outcome in outcomes},
        **dict(zip(found, ranks.tolist(), strict=True)),
    }


def by_rank(outcomes: Sequence[Outcome]) -> list[str]:
    """The optimizers without gradients, best first: the mean over problems and noises of their
    mean ranks at the end.
    """

    def place(outcome: Outcome) -> tuple[str, str]:
        return outcome.cell.problem, outcome.cell.noise

    collected: dict[str, list[float]] = {}
    for _, group in groupby(sorted(outcomes, key=place), key=place):
        searches = [outcome for outcome in group if not _climbs(outcome)]
        ranks = mean_ranks(searches, max(outcome.cell.queries for outcome in searches))
        for name, rank in ranks.items():
            collected.setdefault(name, []).append(rank)
    return sorted(collected, key=lambda name: float(np.mean(collected[name])))


def queries_to(outcome: Outcome, levels: Floats) -> Floats:
    """(units, seeds) queries until `levels` (units,) were reached; inf where they were not.

    Between two numbers of queries at which was looked, the larger one counts.
    """
    reached = outcome.found >= levels[:, None]
    at = np.asarray(outcome.at, dtype=np.float64)
    first: Floats = np.where(reached.any(0), at[reached.argmax(0)], np.inf)
    return first


def median_queries(outcome: Outcome, levels: Floats) -> str:
    """The median over units and seeds of `queries_to`."""
    median = float(np.median(queries_to(outcome, levels)))
    return f"{median:,.0f}" if np.isfinite(median) else f"> {outcome.cell.queries:,}"
