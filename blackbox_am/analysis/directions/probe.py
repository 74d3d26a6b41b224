"""Concept activation vectors: the direction that separates a concept from random stimuli.

Kim et al., "Interpretability Beyond Feature Attribution: Quantitative Testing with Concept
Activation Vectors (TCAV)", ICML 2018. Logistic regression, a third of the examples held out, and
one fit for each random draw of negatives: the spread says what a direction owes to the negatives.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from scipy.stats import t as student

from blackbox_am.analysis.directions.linear import check_examples, cosine, halves, separated
from blackbox_am.analysis.figures import bars_figure
from blackbox_am.analysis.results import Analysis, Arrays, Drawn, TableOfNumbers
from blackbox_am.analysis.subject import Subject
from blackbox_am.core.oracle import Oracle
from blackbox_am.core.parameters import check
from blackbox_am.core.rng import position_seed
from blackbox_am.core.types import FloatArray
from blackbox_am.objectives.direction import Direction

WARNING = "Accuracy does not establish alignment: run `alignment` before you name the direction."


@dataclass(frozen=True, kw_only=True)
class Probe(Analysis):
    """The direction of a concept in a layer.

    Attributes:
        units: addresses of the U units.
        direction: (U,) mean direction, of length 1.
        directions: (R, U) the direction of each draw of negatives.
        accuracies: (R,) on held-out examples, of both kinds equally; 0.5 is chance.
    """

    units: tuple[str, ...]
    direction: FloatArray
    directions: FloatArray
    accuracies: FloatArray

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the mean accuracy over draws, by Student's t, inside [0, 1]."""
        mean, count = float(self.accuracies.mean()), len(self.accuracies)
        if count < 2:
            return 0.0, 1.0
        error = float(self.accuracies.std(ddof=1)) / np.sqrt(count)
        half = float(student.ppf(0.975, count - 1)) * error
        return max(0.0, mean - half), min(1.0, mean + half)

    @property
    def agreement(self) -> float:
        """Mean cosine of the draws with the mean direction."""
        return float(np.mean([cosine(one, self.direction) for one in self.directions]))

    def objective(self, power: float = 0.0) -> Direction:
        """The direction as a target of a study; `power` as in the objective `direction`."""
        return Direction(self.units, vector=tuple(self.direction.tolist()), power=power)

    def data(self) -> Arrays:
        return {
            "units": np.array(self.units),
            "direction": self.direction,
            "directions": self.directions,
            "accuracies": self.accuracies,
        }

    def plot(self) -> Figure:
        order = np.argsort(-np.abs(self.direction), kind="stable")[:30]
        spread = self.directions.std(0)
        return bars_figure(
            [self.units[place] for place in order],
            [("weight", self.direction[order], spread[order])],
            y_label="weight in the direction",
        )

    def figures(self) -> list[Drawn]:
        text = "The 30 units of the largest weights, with the standard deviation over draws."
        return [Drawn(self.plot(), text)]

    def lead(self) -> list[str]:
        low, high = self.interval
        return [
            (
                f"Held-out accuracy {self.accuracies.mean():.3f}, 95 % interval {low:.3f} to "
                f"{high:.3f} over {len(self.accuracies)} draws of negatives; 0.5 is chance. The "
                f"directions of the draws have a mean cosine of {self.agreement:.2f} with the mean "
                "direction."
            ),
            WARNING,
        ]

    def tables(self) -> list[TableOfNumbers]:
        rows = [
            (f"draw {number + 1}", accuracy, cosine(one, self.direction))
            for number, (one, accuracy) in enumerate(
                zip(self.directions, self.accuracies, strict=True)
            )
        ]
        head = ("negatives", "held-out accuracy", "cosine with the mean")
        return [TableOfNumbers("Draws", head, rows)]


def probe(
    oracle: Oracle,
    layer: str,
    positive: Any,
    negative: Any,
    *,
    draws: int = 10,
    held_out: float = 1 / 3,
    seed: int = 0,
) -> Probe:
    """Fit the direction of a concept.

    Args:
        oracle: any oracle.
        layer: the layer; a map counts by the mean of each unit.
        positive: (P, *stimulus) examples of the concept, 4 or more.
        negative: (M, *stimulus) other stimuli, from which each draw takes P, or all if M < 2 P.
        draws: number of fits.
        held_out: part of the examples that the accuracy is measured on.
        seed: of the draws.

    Raises:
        InvalidSpec: for fewer than 4 examples, such as a concept with one.
        MissingExtra: without scikit-learn.
        ShapeMismatch, UnknownUnit, OracleFailed: see `Subject`.
    """
    check(draws >= 1, "draws", "1 or more", draws)
    check(0 < held_out < 1, "held_out", "a number between 0 and 1", held_out)
    subject = subject_of(oracle, layer, "probe")
    good, bad = (subject.stimuli(one) for one in (positive, negative))
    check_examples("positive", good.numpy())
    check_examples("negative", bad.numpy())
    first, second = subject.measure(good), subject.measure(bad)
    directions, accuracies = fitted(first, second, draws, held_out, seed)
    mean = directions.mean(0)
    return Probe(
        method="probe",
        subject=layer,
        model=subject.name,
        parameters={
            "positive examples": len(good), "negative examples": len(bad),
            "draws": draws, "held out": held_out, "seed": seed,
        },
        spent=subject.spent,
        units=tuple(map(str, subject.units)),
        direction=mean / (float(np.linalg.norm(mean)) or 1.0),
        directions=directions,
        accuracies=accuracies,
    )  # fmt: skip


def subject_of(oracle: Oracle, layer: str, method: str) -> Subject:
    """All units of a layer as the subject of an analysis."""
    return Subject.of_layer(oracle, layer, method=method)


def fitted(
    positive: FloatArray, negative: FloatArray, draws: int, held_out: float, seed: int
) -> tuple[FloatArray, FloatArray]:
    """(R, U) directions and (R,) held-out accuracies, one for each draw of negatives."""
    directions, accuracies = [], []
    for number in range(draws):
        random = np.random.default_rng(position_seed(seed, "probe", number, 0))
        most = len(positive) if len(negative) >= 2 * len(positive) else len(negative)
        chosen = negative[random.permutation(len(negative))[:most]]
        fit, test = halves(len(positive), held_out, random)
        other_fit, other_test = halves(len(chosen), held_out, random)
        found = separated(positive[fit], chosen[other_fit])
        directions.append(found.direction)
        accuracies.append(found.accuracy(positive[test], chosen[other_test]))
    return np.stack(directions), np.array(accuracies)
