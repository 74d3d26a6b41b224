"""The accuracy of a model whose inputs of low Sobol index are fixed.

Miao, Matveev, "What and How does a neuron respond to" (their diabetes case): inputs that the
output does not depend on can be left out. Whether they can is measured here, not assumed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from blackbox_am.analysis.classes import true_classes
from blackbox_am.analysis.results import TableOfNumbers
from blackbox_am.analysis.sensitivity.indices import Indices
from blackbox_am.analysis.subject import Subject
from blackbox_am.core.oracle import Oracle
from blackbox_am.core.types import Accounting
from blackbox_am.errors import InvalidSpec


@dataclass(frozen=True)
class Step:
    """The model with some inputs fixed.

    Attributes:
        fixed: names of the fixed inputs.
        score: accuracy, or R^2 of a regression.
    """

    fixed: tuple[str, ...]
    score: float


@dataclass(frozen=True)
class Pruning:
    """Accuracy against the number of fixed inputs.

    Attributes:
        measure: `accuracy` or `R^2`.
        steps: with no input fixed first, then one more at a time, the lowest total index first.
        spent: account of the oracle's calls.
    """

    measure: str
    steps: tuple[Step, ...]
    spent: Accounting

    def in_words(self, tolerance: float = 0.01) -> str:
        """How many inputs can be fixed at a loss of at most `tolerance`."""
        whole = self.steps[0].score
        most = 0
        for number, step in enumerate(self.steps):
            if step.score < whole - tolerance:
                break
            most = number
        if most == 0:
            return f"No input can be fixed at its mean without a loss of {self.measure}."
        inputs = "input" if most == 1 else f"{most} inputs"
        return (
            f"With the {inputs} of lowest total index fixed at the mean, the {self.measure} "
            f"is {self.steps[most].score:.3f}; with all inputs it is {whole:.3f}."
        )

    def table(self) -> TableOfNumbers:
        """The steps as a table."""
        rows = [
            (len(step.fixed), step.fixed[-1] if step.fixed else "none", step.score)
            for step in self.steps
        ]
        return TableOfNumbers(
            "Pruning",
            ("fixed inputs", "last one", self.measure),
            rows,
            "Fixed inputs have their mean over the given rows. The model is not trained again.",
        )


def prune(
    oracle: Oracle,
    layer: str,
    found: Indices,
    rows: Any,
    answers: Sequence[Any] | NDArray[Any],
) -> Pruning:
    """Fix inputs one after another, the lowest total index first, and measure the model each time.

    Args:
        oracle: the model, whose stimuli are table rows (D,).
        layer: with several units, the classes: the score is the accuracy of the largest. With one
            unit, the score is R^2.
        found: indices of the D single inputs, in their order.
        rows: (N, D) stimuli in [0, 1], which the model was not trained on.
        answers: (N,) true classes, from 0, or true numbers.

    Raises:
        InvalidSpec: if the numbers of rows, answers and inputs do not fit, for answers that are no
            classes of the model, and for equal answers of a regression.
        UnknownUnit, OracleFailed: see `Subject`.
    """
    subject = Subject.of_layer(oracle, layer, method="prune")
    stimuli = subject.stimuli(rows)
    if stimuli.shape[1:].numel() != len(found.names):
        raise InvalidSpec(
            f"rows: expected stimuli of the {len(found.names)} inputs that have an index, got "
            f"{tuple(stimuli.shape)}; indices of groups cannot be pruned by",
            field="rows",
        )
    truth = _truth(subject, answers, len(stimuli))
    order = np.argsort(found.total, kind="stable")
    middle, changed, steps, fixed = stimuli.mean(0), stimuli.clone(), [], []
    for place in (None, *order.tolist()[:-1]):
        if place is not None:
            changed.flatten(1)[:, place] = middle.flatten()[place]
            fixed.append(found.names[place])
        steps.append(Step(tuple(fixed), _score(subject, changed, truth)))
    return Pruning("accuracy" if len(subject.units) > 1 else "R^2", tuple(steps), subject.spent)


def _truth(subject: Subject, answers: Any, rows: int) -> NDArray[Any]:
    if len(subject.units) > 1:
        return true_classes(answers, rows, len(subject.units), "answers")
    truth = np.asarray(answers)
    fits = truth.shape == (rows,) and truth.dtype.kind in "iuf" and np.isfinite(truth).all()
    if not fits or len(np.unique(truth)) < 2:
        raise InvalidSpec(
            f"answers: expected {rows:,} numbers that are not all equal, as R^2 compares with "
            f"their variance, got {truth.dtype.name} of shape {truth.shape}",
            field="answers",
        )
    return truth


def _score(subject: Subject, stimuli: torch.Tensor, truth: NDArray[Any]) -> float:
    values = subject.measure(stimuli)
    if values.shape[1] > 1:
        return float((values.argmax(1) == truth).mean())
    residual = ((truth - values[:, 0]) ** 2).sum()
    return float(1 - residual / ((truth - truth.mean()) ** 2).sum())
