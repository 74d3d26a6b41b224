"""Two models compared on the same stimuli, with bootstrap intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from blackbox_am.analysis.figures import bars_figure
from blackbox_am.analysis.geometry.measures import (
    check_spread,
    checked_labels,
    class_means,
    clusters,
    pair_cosines,
)
from blackbox_am.analysis.results import Analysis, Arrays, Drawn, TableOfNumbers
from blackbox_am.analysis.subject import Subject
from blackbox_am.core.oracle import Oracle
from blackbox_am.core.parameters import check
from blackbox_am.core.rng import position_seed
from blackbox_am.core.types import FloatArray

MEASURES = ("mean |cos| of class means", "silhouette", "Davies-Bouldin")


@dataclass(frozen=True, kw_only=True)
class ModelComparison(Analysis):
    """Measures of two models, and their differences.

    Attributes:
        first, second: (3,) mean |cos|, silhouette and Davies-Bouldin index.
        low, high: (3,) 95 % interval of second - first, by a bootstrap of the stimuli whose bias is
            taken off.
    """

    first: FloatArray
    second: FloatArray
    low: FloatArray
    high: FloatArray

    @property
    def differs(self) -> tuple[bool, ...]:
        """Whether each interval leaves out 0."""
        return tuple(bool(one) for one in (self.low > 0) | (self.high < 0))

    def data(self) -> Arrays:
        return {"first": self.first, "second": self.second, "low": self.low, "high": self.high}

    def plot(self) -> Figure:
        middle, half = (self.high + self.low) / 2, (self.high - self.low) / 2
        return bars_figure(MEASURES, [("second - first", middle, half)], y_label="difference")

    def figures(self) -> list[Drawn]:
        text = "Differences, at the middle of their 95 % intervals."
        return [Drawn(self.plot(), text)]

    def lead(self) -> list[str]:
        found = [name for name, one in zip(MEASURES, self.differs, strict=True) if one]
        if not found:
            return ["No measure differs: the interval of every difference contains 0."]
        return [f"The models differ in {', '.join(found)}: these intervals leave out 0."]

    def tables(self) -> list[TableOfNumbers]:
        rows = [
            (name, a, b, f"{low:.4g} to {high:.4g}")
            for name, a, b, low, high in zip(
                MEASURES, self.first, self.second, self.low, self.high, strict=True
            )
        ]
        head = ("measure", "first", "second", "95 % of second - first")
        return [TableOfNumbers("Measures", head, rows)]


def compare_models(
    first: Oracle,
    second: Oracle,
    layer: str,
    stimuli: Any,
    labels: Any,
    *,
    other_layer: str = "",
    resamples: int = 200,
    seed: int = 0,
) -> ModelComparison:
    """Compare the geometry of a layer of two models, with the same resamples for both.

    Args:
        first, second: the models, of stimuli of the same shape.
        layer: the layer of both, or of the first if there is an `other_layer`.
        stimuli: (N, *stimulus).
        labels: (N,) the class of each.
        other_layer: the layer of the second model.
        resamples: of the stimuli, within each class.
        seed: of the resamples.

    Raises:
        InvalidSpec: for labels that do not fit, or equal activations for all stimuli.
        MissingExtra: without scikit-learn.
        ShapeMismatch, UnknownUnit, OracleFailed: see `Subject`.
    """
    check(resamples >= 20, "resamples", "20 or more", resamples)
    subjects = [
        Subject.of_layer(oracle, name, method="compare_models")
        for oracle, name in ((first, layer), (second, other_layer or layer))
    ]
    shown = subjects[0].stimuli(stimuli)
    known = checked_labels(labels, len(shown))
    values = [one.measure(one.stimuli(shown)) for one in subjects]
    for one in values:
        check_spread(one, "compare_models")
    whole = [_measures(one, known) for one in values]
    random = np.random.default_rng(position_seed(seed, "compare models", 0, 0))
    groups = [np.flatnonzero(known == one) for one in np.unique(known)]
    found = []
    for _ in range(resamples):
        rows = np.concatenate([random.choice(one, len(one)) for one in groups])
        a, b = (_measures(one[rows], known[rows]) for one in values)
        found.append(b - a)
    # A stimulus that was drawn twice has a neighbour at distance 0, which makes classes look more
    # separate in every resample: this bias is taken off.
    drawn = np.stack(found)
    drawn += whole[1] - whole[0] - drawn.mean(0)
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    return ModelComparison(
        method="compare_models",
        subject=layer if not other_layer else f"{layer} and {other_layer}",
        model=f"{subjects[0].name} and {subjects[1].name}",
        parameters={"stimuli": len(shown), "resamples": resamples, "seed": seed},
        spent=subjects[0].spent + subjects[1].spent,
        first=whole[0],
        second=whole[1],
        low=low,
        high=high,
    )


def _measures(values: FloatArray, labels: Any) -> FloatArray:
    cosines = pair_cosines(class_means(values, labels))
    return np.array([np.abs(cosines).mean(), *clusters(values, labels)])
