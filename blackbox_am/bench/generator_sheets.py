"""Tables of the benchmark of generators."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from blackbox_am.bench.efficiency import BUDGETS, Outcome
from blackbox_am.bench.optimizer_sheets import interval, median_queries
from blackbox_am.bench.sheets import Sheet

if TYPE_CHECKING:
    from blackbox_am.bench.generators import Speed

AIM = 0.95
"""Target ratio of rows a second to those of the bare module."""


def speed_sheet(speeds: Sequence[Speed]) -> Sheet:
    """Rows a second of each generator and of its bare module."""
    rows = tuple(
        (
            found.name,
            f"{found.dimension:,}",
            "yes" if found.differentiable else "no",
            f"{found.rows_per_second:,.0f}",
            _over(found.bare, ",.0f"),
            "" if math.isnan(found.ratio) else _ratio(found),
        )
        for found in speeds
    )
    return Sheet(
        "rendering 64 latents at a time",
        ("generator", "D", "gradients", "rows/s", "bare module", f"ratio (aim {AIM:g})"),
        rows,
        (
            (
                "Ratio: time of the bare module over time of the generator; median [quartiles] of "
                "pairs that are measured in turn."
            ),
        ),
    )


def _ratio(found: Speed) -> str:
    mark = "" if found.ratio >= AIM else " (missed)"
    return f"{found.ratio:.3f} [{found.low:.2f}, {found.high:.2f}]{mark}"


def _over(value: float, form: str) -> str:
    return "" if math.isnan(value) else format(value, form)


def name_of(outcome: Outcome, optimizer: str) -> str:
    """Name of the generator, with its optimizer if that is not `optimizer`."""
    name = outcome.cell.problem.partition("+")[2]
    return name if outcome.cell.optimizer == optimizer else f"{name} ({outcome.cell.optimizer})"


def search_sheet(outcomes: Sequence[Outcome], optimizer: str) -> Sheet:
    """Results of the search in each generator's latent space, best generator first.

    Args:
        outcomes: the searches.
        optimizer: optimizer of the generators that have none of their own.
    """
    cell = outcomes[0].cell
    worked = [outcome for outcome in outcomes if not outcome.failure]
    worked.sort(key=lambda outcome: -float(np.median(outcome.found[-1])))
    classes = any(outcome.recognised for outcome in worked)
    budgets = sorted({n for o in worked for n in o.at if n in BUDGETS} | {cell.queries})
    rows = tuple(
        (
            name_of(outcome, optimizer),
            *(interval(outcome, n) for n in budgets),
            f"{np.mean(outcome.found[-1] > outcome.natural_levels[:, None]):.0%}",
            median_queries(outcome, outcome.natural_levels),
            _quartiles(outcome),
            *([_recognised(outcome)] if classes else []),
        )
        for outcome in worked
    )
    return Sheet(
        f"{cell.problem.partition('+')[0]}, {optimizer}: {outcomes[0].scale}, "
        f"median of {cell.units} units x {cell.seeds} seeds [95 % interval]",
        (
            "generator",
            *(f"{n:,} queries" for n in budgets),
            "above natural max",
            "queries to natural max",
            "strangeness",
            *(["right class"] if classes else []),
        ),
        rows,
        (
            (
                "Strangeness: distance to the nearest natural image in the class token of the "
                "shipped vision transformer, over the median distance between natural neighbours; "
                "median [quartiles]."
            ),
            *(
                ["Right class: units whose logit is the largest of all for the best stimulus."]
                if classes
                else []
            ),
            *(f"{name_of(o, optimizer)}: {o.failure}." for o in outcomes if o.failure),
        ),
    )


def _recognised(outcome: Outcome) -> str:
    return f"{sum(outcome.recognised)} of {len(outcome.recognised)}"


def _quartiles(outcome: Outcome) -> str:
    if not outcome.strange.size:
        return ""
    low, middle, high = np.percentile(outcome.strange, [25, 50, 75])
    return f"{middle:.2f} [{low:.2f}, {high:.2f}]"
