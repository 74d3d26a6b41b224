"""Class scores and predicted classes: shared code of the objectives and criteria of
classifications.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np

from blackbox_am.core.objective import A
from blackbox_am.errors import InvalidSpec, did_you_mean

Scale = Literal["logits", "probabilities", "log_probabilities"]
"""What the scores of classes are."""

LEAST_PROBABILITY = 1e-12
"""Added to probabilities before their logarithm is taken: a rounded probability may be 0."""


def check_label(
    what: str, label: int, classes: int, field: str, name: str = "label", least: int = 2
) -> None:
    """Check that `label` is the position of one of at least `least` classes.

    Raises:
        InvalidSpec: if it is not; the message contains `what`, and `name`, the parameter.
    """
    if classes < least or not 0 <= label < classes:
        number = {2: "two", 3: "three", 4: "four"}[least]
        raise InvalidSpec(
            f"{what}: expected the scores of {number} classes or more, and a {name} from 0 to "
            f"{max(classes - 1, 1)}, got {classes} quantities and {name} {label}",
            field=f"{field}.parameters.{name}",
        )


def check_decided_label(what: str, label: int, quantities: int, field: str) -> None:
    """Check that `label` is a class for quantities that are the scores of all classes, or one
    quantity that is the number of the predicted class.

    Raises:
        InvalidSpec: if it is not; the message contains `what` and the field.
    """
    if quantities != 1:
        check_label(what, label, quantities, field)
    elif label < 0:
        raise InvalidSpec(
            f"{what}: expected the number of a class, 0 or more, got label {label}",
            field=f"{field}.parameters.label",
        )


def check_scale(what: str, scale: str) -> None:
    """Check that `scale` is one of `Scale`.

    Raises:
        InvalidSpec: if it is not; the message contains `what`.
    """
    known = get_args(Scale)
    if scale not in known:
        raise InvalidSpec(
            f"{what}: expected scale {', '.join(known)}, got {scale!r}{did_you_mean(scale, known)}",
            field="targets.parameters.scale",
        )


def on_log_scale(values: A, scale: Scale) -> A:
    """Scores (..., U) whose differences are those of log-probabilities.

    Logits and log-probabilities are unchanged. Probabilities p become log(p + 1e-12): near 0 and 1
    differences of probabilities vanish, and those of their logarithms do not. A number below 0,
    which noise may make, counts as 0.
    """
    if scale != "probabilities":
        return values
    shares = values.clip(min=0) + LEAST_PROBABILITY
    logarithms: A = shares.log() if hasattr(shares, "log") else np.log(shares)
    return logarithms


def largest(values: A) -> A:
    """(...): the largest of values (..., U), of torch or of numpy; nan if one of them is nan."""
    most: A = values.amax(-1) if hasattr(values, "amax") else values.max(-1)
    return most


def others(values: A, label: int) -> A:
    """(..., U - 1): scores (..., U) without that of class `label`."""
    rest: A = values[..., [i for i in range(values.shape[-1]) if i != label]]
    return rest


def margin(values: A, label: int) -> A:
    """The score of class `label` minus the largest of the other scores, (...) for values (..., U).

    The result is nan if one of the scores is nan.
    """
    difference: A = values[..., label] - largest(others(values, label))
    return difference


def wins(values: A, label: int) -> A:
    """(...) bool: whether the model decides for class `label`.

    Equal scores decide for no class. A row with nan is False here and in `loses`.

    Args:
        values: (..., U), the scores of all classes; with U = 1 the number of the predicted class.
        label: the class.
    """
    won: A = values[..., 0] == label if values.shape[-1] == 1 else margin(values, label) > 0
    return won


def loses(values: A, label: int) -> A:
    """(...) bool: whether the model decides for a class other than `label`, or cannot tell which
    other class is best; arguments as for `wins`.
    """
    if values.shape[-1] > 1:
        behind: A = margin(values, label) < 0
        return behind
    predicted = values[..., 0]
    other: A = (predicted != label) & (predicted == predicted)  # false for nan
    return other


def log_probability(values: A, label: int) -> A:
    """(...): the logarithm of the softmax of scores (..., U) at class `label`.

    The result is nan if one of the scores is nan.
    """
    centred = values - largest(values)[..., None]
    total: Any = centred.exp() if hasattr(centred, "exp") else np.exp(centred)
    summed = total.sum(-1)
    logarithm = summed.log() if hasattr(summed, "log") else np.log(summed)
    result: A = centred[..., label] - logarithm
    return result


def descending(values: A) -> A:
    """(..., U): scores (..., U) in descending order, nan first."""
    # numpy and torch both place nan last in ascending order.
    ascending: Any = np.sort(values, -1) if isinstance(values, np.ndarray) else values.sort(-1)[0]
    ordered: A = ascending[..., list(range(values.shape[-1] - 1, -1, -1))]
    return ordered
