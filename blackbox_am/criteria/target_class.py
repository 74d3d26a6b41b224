"""The model answers with a chosen class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from blackbox_am.core.criterion import LeafCriterion
from blackbox_am.core.objective import A
from blackbox_am.core.scores import check_label, margin


@dataclass(frozen=True)
class TargetClass(LeafCriterion):
    """Met if the chosen class has the largest score: a targeted attack has succeeded. Equal scores
    do not meet the criterion.

    Attributes:
        quantities: the scores of all classes, two or more.
        label: the chosen class, as its position among the quantities.

    Raises:
        InvalidSpec: for fewer than two classes, or a label that is not one of the classes.
    """

    kind: ClassVar[str] = "target_class"

    label: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_label(f"criterion {self.kind!r}", self.label, len(self.quantities), "criteria")

    def met(self, values: A) -> A:
        met: A = margin(values, self.label) > 0
        return met

    def __str__(self) -> str:
        return f"{self.quantities[self.label]} scores highest"
