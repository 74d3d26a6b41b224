"""Linear separation of two sets of activations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blackbox_am.core.types import FloatArray
from blackbox_am.errors import InvalidSpec, MissingExtra

LEAST_EXAMPLES = 4


@dataclass(frozen=True)
class Separation:
    """A direction and a threshold.

    Attributes:
        direction: (U,) of length 1; positive examples have larger products with it.
        bias: added to the product; the sign of the sum is the answer.
    """

    direction: FloatArray
    bias: float

    def scores(self, activations: FloatArray) -> FloatArray:
        """(N,) above 0 for positive examples, from activations (N, U)."""
        return np.asarray(activations @ self.direction + self.bias)

    def accuracy(self, positive: FloatArray, negative: FloatArray) -> float:
        """Mean of the accuracies for both kinds, so that their numbers do not matter."""
        right = [(self.scores(positive) > 0).mean(), (self.scores(negative) <= 0).mean()]
        return float(np.mean(right))


def separated(positive: FloatArray, negative: FloatArray) -> Separation:
    """Logistic regression on standardised activations, as a direction of the activations.

    Raises:
        MissingExtra: without scikit-learn.
    """
    try:
        from sklearn.linear_model import LogisticRegression
    except ModuleNotFoundError as error:
        raise MissingExtra.of("scikit-learn", "analysis") from error
    rows = np.concatenate([positive, negative])
    mean, scale = rows.mean(0), rows.std(0)
    scale = np.where(scale > 0, scale, 1.0)
    kinds = np.repeat([1, 0], [len(positive), len(negative)])
    fitted: Any = LogisticRegression(C=1.0, max_iter=500).fit((rows - mean) / scale, kinds)
    weights = fitted.coef_[0] / scale
    length = float(np.linalg.norm(weights)) or 1.0
    bias = (float(fitted.intercept_[0]) - float(weights @ mean)) / length
    return Separation(weights / length, bias)


def along(direction: FloatArray, positive: FloatArray, negative: FloatArray) -> Separation:
    """A given direction with the threshold in the middle between both means."""
    length = float(np.linalg.norm(direction)) or 1.0
    unit = direction / length
    middle = (float((positive @ unit).mean()) + float((negative @ unit).mean())) / 2
    return Separation(unit, -middle)


def cosine(first: FloatArray, second: FloatArray) -> float:
    """The cosine of two directions."""
    product = float(first @ second)
    return product / (float(np.linalg.norm(first) * np.linalg.norm(second)) or 1.0)


def halves(
    count: int, held_out: float, draws: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions to fit on and positions that are held out."""
    order = draws.permutation(count)
    most = max(1, round(held_out * count))
    return order[most:], order[:most]


def check_examples(field: str, found: FloatArray) -> None:
    """Check that there are enough examples to fit on and to hold out.

    Raises:
        InvalidSpec: for fewer than 4.
    """
    if len(found) < LEAST_EXAMPLES:
        raise InvalidSpec(
            f"{field}: expected {LEAST_EXAMPLES} examples or more, to fit on some and to test on "
            f"others, got {len(found)}",
            field=field,
        )
