"""What a model answered: predicted classes and their scores, from measured quantities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from blackbox_am.core.scores import Scale
from blackbox_am.core.types import Best
from blackbox_am.errors import InvalidInput

FloatArray = NDArray[np.float64]

LEAST_SUM = 0.2
"""The least sum of the probabilities of a model's best classes."""


@dataclass(frozen=True)
class Answers:
    """The model's answers to N inputs.

    Attributes:
        scores: (N, C) float64 scores of all classes, or (N, 1) numbers of predicted classes; nan
            where nothing was measured.
    """

    scores: FloatArray

    @classmethod
    def of(cls, best: Sequence[Best], count: int, quantities: int) -> Answers:
        """The answers that a study of `count` inputs measured.

        Args:
            best: of the study.
            count: N.
            quantities: number of quantities with the answer.
        """
        scores = np.full((count, quantities), np.nan)
        for one in best:
            if one.values is not None:
                scores[one.target] = one.values[:quantities]
        return cls(scores)

    @property
    def numbers(self) -> bool:
        """Whether an answer is the number of a class."""
        return bool(self.scores.shape[1] == 1)

    @property
    def labels_only(self) -> bool:
        """Whether the model tells only the predicted class: by its number, or by a score of 1 where
        all others are 0.
        """
        known = self.scores[self.known]
        bits = bool(((known == 0) | (known == 1)).all())
        return self.numbers or bool(len(known) and bits and (known.sum(axis=1) == 1).all())

    def check(self, name: str) -> None:
        """Check that single numbers are numbers of classes.

        Raises:
            InvalidInput: if one is no whole number from 0.
        """
        known = self.scores[self.known]
        if self.numbers and not ((known >= 0) & (known == np.rint(known))).all():
            wrong = float(known[(known < 0) | (known != np.rint(known))][0])
            raise InvalidInput(
                f"layer: one unit of {name} must be the number of the predicted class, got "
                f"{wrong:g}; of two classes give both scores, such as p and 1 - p",
                field="layer",
            )

    @property
    def known(self) -> NDArray[np.bool_]:
        """(N,) bool, the inputs that have an answer."""
        return np.asarray(np.isfinite(self.scores).all(axis=1))

    @property
    def labels(self) -> NDArray[np.int64]:
        """(N,) predicted classes; -1 where nothing was measured."""
        filled = np.where(self.known[:, None], self.scores, 0.0)
        found = filled[:, 0].round() if self.numbers else filled.argmax(axis=1)
        return np.asarray(np.where(self.known, found, -1), np.int64)

    def label(self, index: int) -> int | None:
        """The predicted class of one input; None if it was not measured."""
        label = int(self.labels[index])
        return None if label < 0 else label

    def score(self, index: int) -> float | None:
        """The score of the predicted class of one input; None if there is none."""
        label = self.label(index)
        if label is None or self.labels_only:
            return None
        return float(self.scores[index, label])

    @property
    def least_likely(self) -> NDArray[np.int64]:
        """(N,) the classes with the lowest scores."""
        filled = np.where(np.isnan(self.scores), np.inf, self.scores)
        return np.asarray(filled.argmin(axis=1), np.int64)


def scale_of(answers: Answers) -> Scale:
    """What the scores are: probabilities if all of them are from 0 to 1 and sum to about 1, or less
    where the model tells only its best classes; else logits.
    """
    known = answers.scores[answers.known]
    if answers.labels_only or not len(known):
        return "logits"
    sums = known.sum(axis=1)
    within = bool(((known >= 0) & (known <= 1)).all())
    about_one = bool(((sums > LEAST_SUM) & (sums < 1.05)).all())
    return "probabilities" if within and about_one else "logits"
