"""One scale for the scores of all units, for medians, tests and figures over units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from blackbox_am.comparisons.results import ComparisonResult, FloatArray
from blackbox_am.core.natural import has_ratios


@dataclass(frozen=True)
class Scale:
    """A scale on which units are comparable: (score - origin) / width.

    Attributes:
        name: what a value is, in words.
        origin, width: of each unit; a width of nan for a unit that has no such scale.
        natural: whether 1 is the natural maximum.
    """

    name: str
    origin: Mapping[str, float]
    width: Mapping[str, float]
    natural: bool = False

    def of(self, unit: str, scores: FloatArray) -> FloatArray:
        """Scores of a unit on the scale."""
        return (scores - self.origin[unit]) / self.width[unit]


def scale_of(result: ComparisonResult) -> Scale:
    """The scale of a result, the same for all its units, so that no two scales are mixed.

    The ratio to the natural maximum, if all units have a maximum above 0; otherwise standard
    deviations above the natural mean, if all units have natural images of different scores;
    otherwise the share of the range from the best random start to the best known score.
    """
    names = [unit.unit for unit in result.units]
    natural = [unit.natural[~np.isnan(unit.natural)] for unit in result.units]
    if all(map(len, natural)):
        if all(has_ratios(scores[None]) for scores in natural):
            maxima = [float(scores.max()) for scores in natural]
            return Scale(
                "activation over natural maximum",
                dict.fromkeys(names, 0.0),
                dict(zip(names, maxima, strict=True)),
                natural=True,
            )
        spreads = [float(np.std(scores, ddof=1)) if len(scores) > 1 else 0.0 for scores in natural]
        if min(spreads, default=0.0) > 0:
            means = [float(scores.mean()) for scores in natural]
            return Scale(
                "standard deviations above the natural mean",
                dict(zip(names, means, strict=True)),
                dict(zip(names, spreads, strict=True)),
            )
    origin = {unit.unit: unit.start for unit in result.units}
    ranges = {name: _best(result, name) - origin[name] for name in names}
    return Scale(
        "share of the range from a random start to the best known score",
        origin,
        {name: width if width > 0 else float("nan") for name, width in ranges.items()},
    )


def _best(result: ComparisonResult, unit: str) -> float:
    """The best known score of a unit, or the best of its runs."""
    scores = [run.score for run in result.runs if run.unit == unit and not np.isnan(run.score)]
    return result.best_known.get(unit, max(scores, default=float("nan")))
