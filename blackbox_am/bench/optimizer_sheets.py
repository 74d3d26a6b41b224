"""Tables of the benchmark of optimizers: overhead and query efficiency."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from blackbox_am.bench.efficiency import BUDGETS, Cell, Floats, Outcome
from blackbox_am.bench.overhead import COUNTERPART, Cost, Machine
from blackbox_am.bench.sheets import Sheet
from blackbox_am.core.bootstrap import bootstrap

GRADIENT = "adam"
OF_GRADIENT = 0.95
REFERENCES = ("snes", "pycma,variant=sep", "nevergrad,optimizer=DiagonalCMA")
REFERENCE_QUERIES = 1000
"""Searches whose result after this number of queries the others are to reach with fewer."""


# Costs


def cost_sheet(limits: Machine, costs: Sequence[Cost]) -> Sheet:
    """Milliseconds of a generation, and their ratios to floor and peers."""
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
                f"second and reaches {limits.flops / 1e9:.0f} GFLOP/s in a float32 matrix product "
                "of 2,048 x 2,048. The floor is the time to draw P D normal numbers (P D / 2 for "
                "open_es). For cma the floor also includes the products with full covariance "
                "matrices and their factorisation. D of tensor_train is the number of binary codes."
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


# Query efficiency


def found_sheets(outcomes: Sequence[Outcome]) -> list[Sheet]:
    """One table for each problem and noise, the best optimizer first."""

    def place(outcome: Outcome) -> tuple[str, str]:
        return outcome.cell.problem, outcome.cell.noise

    ordered = sorted(outcomes, key=place)
    return [_found_sheet(list(group)) for _, group in groupby(ordered, key=place)]


def by_budget(outcomes: Sequence[Outcome]) -> dict[int, list[Outcome]]:
    """Outcomes grouped by their budget.

    An outcome of gradient ascent is in every group that has a search of its problem and noise.
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
    reference = _reference(searches)
    rows = [
        (
            outcome.cell.optimizer,
            *(interval(outcome, n) for n in budgets),
            f"{ranks[outcome.cell.optimizer]:.1f}",
            median_queries(outcome, outcome.natural_levels),
            *([] if reference is None else [median_queries(outcome, reference.levels)]),
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
            *([] if reference is None else [""]),
        )
        for o in worked
        if _climbs(o)
    ]
    return Sheet(
        f"{cell.problem}, noise {cell.noise}: {outcomes[0].scale}, median of "
        f"{_units(cell)} x {cell.seeds} seeds [95 % interval]",
        (
            "optimizer",
            *(f"{n:,} queries" for n in budgets),
            f"mean rank at {max(budgets):,}",
            "queries to natural max",
            *([] if reference is None else [reference.heading]),
            "queries to 95 % of gradient",
        ),
        tuple(rows),
        tuple(f"{o.cell.optimizer}: {o.failure}." for o in outcomes if o.failure),
    )


def _units(cell: Cell) -> str:
    """The units of a cell: their number, and which ones if it leaves out others before them."""
    which = f" (number {cell.first + 1} to {cell.first + cell.units})" if cell.first else ""
    return f"{cell.units} units{which}"


@dataclass(frozen=True)
class _Reference:
    """What the best of `REFERENCES` found with `REFERENCE_QUERIES` queries.

    Attributes:
        heading: of the column of the queries that other searches need for it.
        levels: (units,) its median over seeds.
    """

    heading: str
    levels: Floats


def _reference(searches: Sequence[Outcome]) -> _Reference | None:
    """The reference of a table; None if none was run for so many queries."""
    usual = [
        outcome
        for outcome in searches
        if outcome.cell.optimizer in REFERENCES
        and at_budget(outcome, REFERENCE_QUERIES) is not None
    ]
    if not usual:
        return None
    ranks = mean_ranks(usual, REFERENCE_QUERIES)
    best = min(usual, key=lambda outcome: ranks[outcome.cell.optimizer])
    found = at_budget(best, REFERENCE_QUERIES)
    assert found is not None
    heading = f"queries to {best.cell.optimizer} at {REFERENCE_QUERIES:,}"
    return _Reference(heading, np.median(found, axis=1))


def _climbs(outcome: Outcome) -> bool:
    return outcome.cell.optimizer.split(",")[0] == GRADIENT


def _gradient(outcomes: Sequence[Outcome]) -> Floats | None:
    """(units,) best activation of gradient ascent; None if it was not run."""
    found = [outcome.found[-1].max(axis=-1) for outcome in outcomes if _climbs(outcome)]
    return found[0] if found else None


def at_budget(outcome: Outcome, queries: int) -> Floats | None:
    """(units, seeds) activations after this number of queries; None if not recorded."""
    if outcome.failure or queries not in outcome.at:
        return None
    found: Floats = outcome.found[outcome.at.index(queries)]
    return found


def interval(outcome: Outcome, queries: int) -> str:
    """Median activation after this number of queries, with its 95 % interval, as text."""
    found = at_budget(outcome, queries)
    if found is None:
        return ""
    low, high = bootstrap(found)
    return f"{np.median(found):.3f} [{low:.2f}, {high:.2f}]"


def mean_ranks(outcomes: Sequence[Outcome], queries: int) -> dict[str, float]:
    """Mean rank of each optimizer over units and seeds at a budget; 1 is the best."""
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
    """The optimizers without gradients, best first.

    The order is that of the mean over problems and noises of the final mean ranks.
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
    """(units, seeds) queries until a search reached `levels` (units,); inf if it never did.

    The result is the first recorded number of queries at which the level was reached.
    """
    reached = outcome.found >= levels[:, None]
    at = np.asarray(outcome.at, dtype=np.float64)
    first: Floats = np.where(reached.any(0), at[reached.argmax(0)], np.inf)
    return first


def median_queries(outcome: Outcome, levels: Floats) -> str:
    """The median of `queries_to` over units and seeds, as text."""
    median = float(np.median(queries_to(outcome, levels)))
    return f"{median:,.0f}" if np.isfinite(median) else f"> {outcome.cell.queries:,}"
