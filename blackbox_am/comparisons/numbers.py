"""The numbers of a comparison as dataclasses: of runs, of units, and of methods.

A number that does not exist is nan: a ratio to a natural maximum that is not above 0, the gap to a
gradient method that found nothing. A level that a search never reached has infinitely many queries.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from blackbox_am.comparisons.results import Run


@dataclass(frozen=True)
class Level:
    """What the runs of one unit are measured against.

    Attributes:
        natural_max: the highest score of the natural images.
        natural_of_n: expected highest score of as many natural images as the budget has
            query-equivalents, drawn without replacement; the maximum if there are not so many.
        gradient: median over seeds of the score of the baseline method.
        start: highest score of 64 random latents.
        best_known: best known score in this generator.
        first: query-equivalents at which every run of the unit has a score.
        seconds: median seconds of the fastest method that is compared.
    """

    natural_max: float
    natural_of_n: float
    gradient: float
    start: float
    best_known: float
    first: float
    seconds: float


@dataclass(frozen=True)
class Numbers:
    """The numbers of a run, or their medians over seeds, or the medians of these over units.

    Attributes:
        score: the reported score.
        relative: over the natural maximum; nan if this is not above 0.
        standardised: (score - mean) / standard deviation of the natural images.
        rank: fraction of the natural images with a lower score.
        over_natural_of_n: score over the expected best of n natural images at equal budget.
        of_gradient: score over that of the baseline (its median over seeds).
        gap_closed: (score - start) / (baseline - start).
        of_best_known: score over the best known score in this generator.
        area: mean best-so-far score between the first equivalents at which all runs of the unit
            have a score and the budget, over the natural maximum.
        to_natural: query-equivalents until the natural maximum is reached.
        to_50, to_90, to_95: until this percentage of the baseline's score is reached.
        equal_time: best score within the seconds of the fastest method.
        equal_time_relative: the same over the natural maximum.
        robust_mean, robust_p10: mean and 10th percentile of the scores under transformations.
        robust_relative: the mean over the natural maximum.
        robust_share: the mean over the score.
        plausibility, transfer, typicality: as in `Run`.
        rows, backward_rows, seconds: as in `Run`.
    """

    score: float
    relative: float
    standardised: float
    rank: float
    over_natural_of_n: float
    of_gradient: float
    gap_closed: float
    of_best_known: float
    area: float
    to_natural: float
    to_50: float
    to_90: float
    to_95: float
    equal_time: float
    equal_time_relative: float
    robust_mean: float
    robust_p10: float
    robust_relative: float
    robust_share: float
    plausibility: float
    transfer: float
    typicality: float
    rows: float
    backward_rows: float
    seconds: float


@dataclass(frozen=True)
class RunNumbers:
    """The numbers of one run.

    Attributes:
        run: the run.
        layer: the layer of its unit.
        numbers: its numbers.
    """

    run: Run
    layer: str
    numbers: Numbers


@dataclass(frozen=True)
class UnitNumbers:
    """What a method found for one unit.

    Attributes:
        method, unit, layer: which.
        runs: number of its seeds that found something.
        numbers: medians over seeds.
        diversity: as in `ComparisonResult`.
    """

    method: str
    unit: str
    layer: str
    runs: int
    numbers: Numbers
    diversity: float


@dataclass(frozen=True)
class MethodNumbers:
    """What a method found.

    Attributes:
        method: which.
        units: number of units for which it found something.
        runs, failed: runs that ended, and how many of them found nothing.
        numbers: medians over units of the medians over seeds.
        diversity: median over units; nan without one.
        kid: as in `ComparisonResult`; nan if not measured.
        seconds: of all runs together.
    """

    method: str
    units: int
    runs: int
    failed: int
    numbers: Numbers
    diversity: float
    kid: float
    seconds: float


@dataclass(frozen=True)
class Metrics:
    """All numbers of a comparison.

    Attributes:
        levels: by unit.
        runs: in the order of the result.
        by_unit: by method and unit, for pairs that have a run.
        by_method: by method, for methods that have a run.
    """

    levels: Mapping[str, Level]
    runs: tuple[RunNumbers, ...]
    by_unit: Mapping[tuple[str, str], UnitNumbers]
    by_method: Mapping[str, MethodNumbers]
