"""Class scores: shared code of the objectives and criteria of classifications."""

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


def margin(values: A, label: int) -> A:
    """The score of class `label` minus the largest of the other scores, (...) for values (..., U).

    The result is nan if one of the scores is nan.
    """
    rest = values[..., [i for i in range(values.shape[-1]) if i != label]]
    largest = rest.amax(-1) if hasattr(rest, "amax") else rest.max(-1)  # of torch or of numpy
    difference: A = values[..., label] - largest
    return difference
