"""Paired comparisons of the methods of a comparison with its baseline, unit by unit.

A unit is a pair: the median over seeds of a method and that of the baseline. Seeds of one unit are
not independent of each other, so tests count units and not runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from blackbox_am.comparisons.metrics import NAN, median, over
from blackbox_am.comparisons.results import ComparisonResult, FloatArray, Method
from blackbox_am.comparisons.scales import Scale, scale_of
from blackbox_am.comparisons.signed_ranks import wilcoxon
from blackbox_am.core.bootstrap import bootstrap_medians, bootstrap_ratio

TIE = 1e-6
"""Relative difference of two scores below which neither is better: that of float32's rounding."""


@dataclass(frozen=True)
class Loss:
    """A unit for which a method found less than the baseline.

    Attributes:
        method, unit, layer: which.
        score: median over seeds; nan if the method found nothing.
        baseline: that of the baseline.
        ratio: score over that of the baseline; nan if the latter is not above 0.
        difference: of the two, on the scale of the comparison.
    """

    method: str
    unit: str
    layer: str
    score: float
    baseline: float
    ratio: float
    difference: float


@dataclass(frozen=True)
class Paired:
    """A method compared with the baseline over units.

    Attributes:
        method: the method.
        reference: whether it is shown for reference alone; it then has no part in the correction
            for several tests, and no `adjusted`.
        wins, ties, losses: numbers of units by who found more.
        ratio: median over units of the ratio to the baseline; nan if no unit has a positive score
            of the baseline.
        low, high: its 95 % bootstrap interval over units and seeds.
        ratios: number of units that have a ratio.
        difference: median over units of the difference on the scale of the comparison.
        p_value: probability of so large a difference of signed ranks if neither is better: the
            two-sided test of Wilcoxon over units for which both found something; nan without one.
        adjusted: `p_value` after the correction of Holm, "A simple sequentially rejective multiple
            test procedure", 1979, over the methods that are compared.
        lost: every unit that the method lost, the largest loss first.
    """

    method: str
    reference: bool
    wins: int
    ties: int
    losses: int
    ratio: float
    low: float
    high: float
    ratios: int
    difference: float
    p_value: float
    adjusted: float
    lost: tuple[Loss, ...]


def paired(result: ComparisonResult) -> tuple[Paired, ...]:
    """Each other method against the baseline, in the order of the methods.

    Empty if the baseline has no run. A unit counts if both methods have runs for it; a method that
    found nothing there loses.
    """
    scale = scale_of(result)
    if not any(run.method == result.baseline for run in result.runs):
        return ()
    names = {run.method for run in result.runs} - {result.baseline}
    found = [_paired(result, method, scale) for method in result.methods if method.name in names]
    compared = [one for one in found if not one.reference]
    adjusted = dict(
        zip(
            (one.method for one in compared),
            holm([one.p_value for one in compared]),
            strict=True,
        )
    )
    return tuple(replace(one, adjusted=adjusted.get(one.method, NAN)) for one in found)


def on_scale(result: ComparisonResult, method: str, scale: Scale) -> tuple[float, float, float]:
    """The median over units of a method's medians over seeds on the scale of the comparison, and
    its 95 % bootstrap interval over units and seeds; nan if it found nothing.
    """
    found = np.array(
        [scale.of(u.unit, np.array(_seeds(result, method, u.unit))) for u in result.units]
    ).reshape(len(result.units), len(result.seeds))
    return median([median(row) for row in found]), *bootstrap_medians(found)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values, in the order of `p_values`; nan have no part and stay nan."""
    adjusted = list(map(float, p_values))
    order = sorted((p, place) for place, p in enumerate(p_values) if not np.isnan(p))
    largest = 0.0
    for rank, (p, place) in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * p))
        adjusted[place] = largest
    return adjusted


def _paired(result: ComparisonResult, method: Method, scale: Scale) -> Paired:
    units = [
        unit
        for unit in result.units
        if result.of(method.name, unit.unit) and result.of(result.baseline, unit.unit)
    ]
    mine, theirs = (
        np.array([_seeds(result, name, unit.unit) for unit in units]).reshape(
            len(units), len(result.seeds)
        )
        for name in (method.name, result.baseline)
    )
    ours = np.array([median(row) for row in mine])
    base = np.array([median(row) for row in theirs])
    signs = _signs(ours, base)
    positive = base > 0
    ratios = np.array([over(a, b) for a, b in zip(ours, base, strict=True)])
    differences = np.array(
        [
            float(scale.of(unit.unit, a) - scale.of(unit.unit, b))
            for unit, a, b in zip(units, ours, base, strict=True)
        ]
    )
    differences[signs == 0] = 0.0
    low, high = bootstrap_ratio(mine[positive], theirs[positive])
    lost = [
        Loss(
            method.name, unit.unit, unit.layer, float(ours[i]), float(base[i]), float(ratios[i]),
            float(differences[i]),
        )
        for i, unit in enumerate(units)
        if signs[i] < 0
    ]  # fmt: skip
    return Paired(
        method=method.name,
        reference=method.reference,
        wins=int((signs > 0).sum()),
        ties=int((signs == 0).sum()),
        losses=len(lost),
        ratio=median(ratios),
        low=low,
        high=high,
        ratios=int((~np.isnan(ratios)).sum()),
        difference=median(differences),
        p_value=wilcoxon(differences),
        adjusted=NAN,
        lost=tuple(sorted(lost, key=_size)),
    )


def _seeds(result: ComparisonResult, method: str, unit: str) -> list[float]:
    """The score of each seed; nan for a run that is missing."""
    scores = {run.seed: run.score for run in result.of(method, unit)}
    return [scores.get(seed, NAN) for seed in result.seeds]


def _signs(ours: FloatArray, base: FloatArray) -> FloatArray:
    """1 where ours is better, -1 where the baseline is, 0 for a tie; nothing is worse than
    anything.
    """
    least = np.finfo(np.float64).min
    a, b = (np.where(np.isnan(values), least, values) for values in (ours, base))
    close = np.abs(ours - base) <= TIE * np.maximum(np.abs(ours), np.abs(base))
    return np.where(close, 0.0, np.sign(a - b))


def _size(loss: Loss) -> float:
    """The difference; a method that found nothing lost most."""
    return -np.inf if np.isnan(loss.difference) else loss.difference
