"""Best-so-far curves of runs as step functions of query-equivalents."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from blackbox_am.comparisons.results import FloatArray, Run

NAN = float("nan")


def at(run: Run, equivalents: FloatArray) -> FloatArray:
    """(X,) best score after each of `equivalents` (X,); nan before the first score.

    The score of a generation counts from the end of the generation.
    """
    place = np.searchsorted(run.equivalents, equivalents, side="right") - 1
    if not run.equivalents.size:
        return np.full(len(equivalents), NAN)
    return np.where(place < 0, NAN, run.best_so_far[np.maximum(place, 0)])


def first_at(run: Run) -> float:
    """Query-equivalents at which the run has its first score; nan if it has none."""
    known = np.flatnonzero(~np.isnan(run.best_so_far))
    return float(run.equivalents[known[0]]) if known.size else NAN


def queries_to(run: Run, level: float) -> float:
    """Query-equivalents until the best score is at least `level`; infinite if it never is.

    Returns:
        nan if the level is nan, or if the run has no curve.
    """
    if np.isnan(level) or not run.equivalents.size:
        return NAN
    reached = np.flatnonzero(run.best_so_far >= level)
    return float(run.equivalents[reached[0]]) if reached.size else float("inf")


def area(run: Run, first: float, budget: float) -> float:
    """Mean best score between `first` and `budget` query-equivalents: the area under the curve over
    its width. A run that ended earlier keeps its last score.

    Returns:
        nan if the run has no score at `first`, or if there is nothing between the two.
    """
    if not first < budget or not run.equivalents.size:
        return NAN
    inside = run.equivalents[(run.equivalents > first) & (run.equivalents < budget)]
    edges = np.concatenate([[first], inside, [budget]])
    return float((at(run, edges[:-1]) * np.diff(edges)).sum() / (budget - first))


def best_within(run: Run, seconds: float) -> float:
    """Best score within `seconds`, if every query-equivalent of the run took the same time.

    Returns:
        nan if the time is unknown, or if the first generation took longer.
    """
    if not run.seconds > 0 or np.isnan(seconds) or not run.equivalents.size:
        return NAN
    # The last generation of the fastest run ends at its time in spite of rounding.
    reach = run.equivalents[-1] * seconds / run.seconds * (1 + 1e-9)
    return float(at(run, np.array([reach]))[0])


def grid(runs: Sequence[Run], budget: float, points: int) -> FloatArray:
    """(points,) query-equivalents at which curves are drawn: evenly spaced, from the smallest
    first score of a run to the budget; empty without a run that has a score.
    """
    firsts = [first for run in runs if np.isfinite(first := first_at(run))]
    if not firsts or min(firsts) > budget:
        return np.empty(0)
    return np.linspace(min(firsts), budget, points)


def stacked(runs: Sequence[Run], equivalents: FloatArray) -> FloatArray:
    """(R, X): the curves of R runs at the same `equivalents` (X,)."""
    return np.stack([at(run, equivalents) for run in runs])
