"""Class scores and predicted classes: shared code of the objectives and criteria of
classifications.
"""

from __future__ import annotations

from blackbox_am.core.objective import A
from blackbox_am.errors import InvalidSpec


def check_label(what: str, label: int, classes: int, field: str) -> None:
    """Check that `label` is the position of one of at least two classes.

    Raises:
        InvalidSpec: if it is not; the message contains `what` and the field.
    """
    if classes < 2 or not 0 <= label < classes:
        raise InvalidSpec(
            f"{what}: expected the scores of two classes or more, and a label from 0 to "
            f"{max(classes - 1, 1)}, got {classes} quantities and label {label}",
            field=f"{field}.parameters.label",
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


def margin(values: A, label: int) -> A:
    """The score of class `label` minus the largest of the other scores, (...) for values (..., U).

    The result is nan if one of the scores is nan.
    """
    rest = values[..., [i for i in range(values.shape[-1]) if i != label]]
    largest = rest.amax(-1) if hasattr(rest, "amax") else rest.max(-1)  # of torch or of numpy
    difference: A = values[..., label] - largest
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
