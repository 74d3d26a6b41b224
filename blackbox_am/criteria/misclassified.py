"""The model no longer answers with the true class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from blackbox_am.core.criterion import LeafCriterion
from blackbox_am.core.objective import A
from blackbox_am.core.scores import check_label, margin


@dataclass(frozen=True)
class Misclassified(LeafCriterion):
    """Met if another class has a larger score than the true class: an untargeted attack has
    succeeded. Equal scores do not meet the criterion.

    Attributes:
        quantities: the scores of all classes, two or more.
        label: the true class, as its position among the quantities.

    Raises:
        InvalidSpec: for fewer than two classes, or a label that is not one of the classes.
    """

    kind: ClassVar[str] = "misclassified"

    label: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_label(f"criterion {self.kind!r}", self.label, len(self.quantities), "criteria")

    def met(self, values: A) -> A:
        met: A = margin(values, self.label) < 0
        return met

    def __str__(self) -> str:
        return f"a class scores above {self.quantities[self.label]}"
