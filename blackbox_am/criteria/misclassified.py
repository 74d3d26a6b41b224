"""The model no longer answers with the true class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from blackbox_am.core.criterion import LeafCriterion
from blackbox_am.core.objective import A
from blackbox_am.core.scores import check_decided_label, loses


@dataclass(frozen=True)
class Misclassified(LeafCriterion):
    """Met if another class has a larger score than the true class: an untargeted attack has
    succeeded. Equal scores do not meet the criterion.

    Attributes:
        quantities: the scores of all classes, two or more; or one quantity, the number of the
            predicted class, of an oracle that only decides.
        label: the true class, as its position among the scores, or as its number.

    Raises:
        InvalidSpec: for a label that is not one of the classes.
    """

    kind: ClassVar[str] = "misclassified"

    label: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_decided_label(
            f"criterion {self.kind!r}", self.label, len(self.quantities), "criteria"
        )

    def met(self, values: A) -> A:
        return loses(values, self.label)

    def __str__(self) -> str:
        if len(self.quantities) == 1:
            return f"{self.quantities[0]} is not {self.label}"
        return f"a class scores above {self.quantities[self.label]}"
