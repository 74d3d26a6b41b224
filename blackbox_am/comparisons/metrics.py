"""The numbers of each run of a comparison, and their medians for each unit and each method.

The ratio to the best natural image, and to the best of as many natural images as there are queries,
are those of Xiao and Kreiman, "XDream", 2020.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields

import numpy as np

from blackbox_am.comparisons.curves import area, best_within, first_at, queries_to
from blackbox_am.comparisons.numbers import (
    Level,
    MethodNumbers,
    Metrics,
    Numbers,
    RunNumbers,
    UnitNumbers,
)
from blackbox_am.comparisons.results import ComparedUnit, ComparisonResult, FloatArray, Run
from blackbox_am.core.natural import Standing, standing

NAN = float("nan")
LEVELS = (0.5, 0.9, 0.95)
"""Fractions of the gradient method's score whose queries are counted."""


def metrics(result: ComparisonResult) -> Metrics:
    """All numbers of `result`."""
    layers = {unit.unit: unit.layer for unit in result.units}
    units = {unit.unit: unit for unit in result.units}
    levels = {unit.unit: _level(result, unit) for unit in result.units}
    runs = tuple(
        RunNumbers(
            run, layers[run.unit], _numbers(run, units[run.unit], levels[run.unit], result.budget)
        )
        for run in result.runs
    )
    groups: dict[tuple[str, str], list[RunNumbers]] = {}
    for row in runs:
        groups.setdefault((row.run.method, row.run.unit), []).append(row)
    by_unit = {
        (method, unit): UnitNumbers(
            method,
            unit,
            layers[unit],
            sum(not np.isnan(row.run.score) for row in rows),
            _median([row.numbers for row in rows]),
            result.diversity.get((method, unit), NAN),
        )
        for (method, unit), rows in groups.items()
    }
    by_method = {
        method.name: _of_method(result, method.name, runs, by_unit)
        for method in result.methods
        if any(row.run.method == method.name for row in runs)
    }
    return Metrics(levels, runs, by_unit, by_method)


def expected_best(scores: FloatArray, n: int) -> float:
    """Expected maximum of `n` of the scores (N,), drawn without replacement.

    With the scores in ascending order, the i-th of N is the maximum with probability
    C(i - 1, n - 1) / C(N, n). nan are left out; the maximum if n is N or more.

    Returns:
        nan without a score, or for n below 1.
    """
    ordered = np.sort(scores[~np.isnan(scores)])[::-1]
    total = len(ordered)
    if not total or n < 1:
        return NAN
    n = min(n, total)
    # p(N) = n / N, and p(i - 1) = p(i) (i - n) / (i - 1): exact zeros below the n-th.
    above = np.arange(total, 1, -1, dtype=np.float64)
    chances = n / total * np.cumprod(np.concatenate([[1.0], (above - n) / (above - 1)]))
    return float(np.clip(chances, 0.0, None) @ ordered)


def natural_max(unit: ComparedUnit) -> float:
    """The highest score of the natural images; nan without one."""
    known = unit.natural[~np.isnan(unit.natural)]
    return float(known.max()) if known.size else NAN


def median(values: Sequence[float] | FloatArray) -> float:
    """The median without nan; nan if nothing is left. Infinite numbers count."""
    known = np.asarray(values, np.float64)
    known = known[~np.isnan(known)]
    if not known.size:
        return NAN
    ordered = np.sort(known)
    low, high = ordered[(len(ordered) - 1) // 2], ordered[len(ordered) // 2]
    return float(low if low == high else (low + high) / 2)


def over(value: float, level: float) -> float:
    """`value` / `level`; nan if the level is not above 0, where a ratio means nothing."""
    return value / level if level > 0 else NAN


def _level(result: ComparisonResult, unit: ComparedUnit) -> Level:
    runs = [run for run in result.runs if run.unit == unit.unit]
    firsts = [first_at(run) for run in runs]
    compared = {m.name for m in result.methods if not m.reference}
    seconds = [median([run.seconds for run in runs if run.method == method]) for method in compared]
    return Level(
        natural_max=natural_max(unit),
        natural_of_n=expected_best(unit.natural, int(result.budget)),
        gradient=median([run.score for run in runs if run.method == result.baseline]),
        start=unit.start,
        best_known=result.best_known.get(unit.unit, NAN),
        first=max((first for first in firsts if np.isfinite(first)), default=NAN),
        seconds=min((one for one in seconds if one > 0), default=NAN),
    )


def _numbers(run: Run, unit: ComparedUnit, level: Level, budget: float) -> Numbers:
    place = _place(unit, run)
    robust = run.robust[~np.isnan(run.robust)]
    robust_mean = float(robust.mean()) if robust.size else NAN
    gap = level.gradient - level.start
    within = best_within(run, level.seconds)
    to_levels = {
        f"to_{round(100 * share)}": queries_to(run, share * level.gradient)
        if level.gradient > 0
        else NAN
        for share in LEVELS
    }
    return Numbers(
        score=run.score,
        relative=over(run.score, level.natural_max),
        standardised=_known(place.standardised if place else None),
        rank=_known(place.rank if place else None),
        over_natural_of_n=over(run.score, level.natural_of_n),
        of_gradient=over(run.score, level.gradient),
        gap_closed=(run.score - level.start) / gap if gap > 0 else NAN,
        of_best_known=over(run.score, level.best_known),
        area=over(area(run, level.first, budget), level.natural_max),
        to_natural=queries_to(run, level.natural_max),
        **to_levels,
        equal_time=within,
        equal_time_relative=over(within, level.natural_max),
        robust_mean=robust_mean,
        robust_p10=float(np.percentile(robust, 10)) if robust.size else NAN,
        robust_relative=over(robust_mean, level.natural_max),
        robust_share=over(robust_mean, run.score),
        plausibility=run.plausibility,
        transfer=run.transfer,
        typicality=run.typicality,
        rows=float(run.rows),
        backward_rows=float(run.backward_rows),
        seconds=run.seconds,
    )


def _place(unit: ComparedUnit, run: Run) -> Standing | None:
    if not unit.natural.size or np.isnan(run.score):
        return None
    return standing(unit.natural, run.score)


def _of_method(
    result: ComparisonResult,
    method: str,
    runs: Sequence[RunNumbers],
    by_unit: Mapping[tuple[str, str], UnitNumbers],
) -> MethodNumbers:
    mine = [row.run for row in runs if row.run.method == method]
    units = [row for (name, _), row in by_unit.items() if name == method]
    return MethodNumbers(
        method=method,
        units=sum(row.runs > 0 for row in units),
        runs=len(mine),
        failed=sum(bool(np.isnan(run.score)) for run in mine),
        numbers=_median([row.numbers for row in units]),
        diversity=median([row.diversity for row in units]),
        kid=result.kid.get(method, NAN),
        seconds=sum(run.seconds for run in mine),
    )


def _median(rows: Sequence[Numbers]) -> Numbers:
    """The median of each number."""
    values = {
        field.name: median([getattr(row, field.name) for row in rows]) for field in fields(Numbers)
    }
    return Numbers(**values)


def _known(value: float | None) -> float:
    return NAN if value is None else value
