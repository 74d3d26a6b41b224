"""Whether the model is fooled, the score for attacks that know only the predicted class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from blackbox_am.core.objective import A, Leaf
from blackbox_am.core.quantities import MeasureName
from blackbox_am.core.scores import check_decided_label, loses, wins
from blackbox_am.errors import InvalidSpec


@dataclass(frozen=True)
class Label(Leaf):
    """1 where the model is fooled, 0 elsewhere: all that an attack sees of a model that answers
    with a label.

    If `targeted`, the model is fooled where it decides for class `label`, otherwise where it
    decides for another class. Equal scores fool nobody, as in the criteria `target_class` and
    `misclassified`.

    With `closest` the score is 1 / (1 + d) where the model is fooled, for the distance d of the
    stimulus from its input. Thus the best row of a study is the smallest change that fools the
    model.

    Attributes:
        quantities: the scores of all classes, two or more; or one quantity, the number of the
            predicted class. With `closest` a measure follows, such as `stimulus.linf_distance` or
            `stimulus.l2_distance`.
        label: the class, as its position among the scores, or as its number.
        targeted: whether the class is to win (true) or to lose.
        closest: whether smaller distances score higher.

    Raises:
        InvalidSpec: for a label that is none of the classes, for `closest` without a measure at the
            end, or a measure among the classes.
    """

    kind: ClassVar[str] = "label"

    label: int = 0
    targeted: bool = False
    closest: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        read = self.reads()
        measures = [isinstance(quantity, MeasureName) for quantity in read]
        if measures != [False] * self._classes + [True] * (len(read) - self._classes):
            place = "one at the end" if self.closest else "none without closest"
            raise InvalidSpec(
                f"objective {self.kind!r}: expected units, and of measures {place}, got "
                f"{', '.join(self.quantities)}",
                field="targets.quantities",
            )
        check_decided_label(f"objective {self.kind!r}", self.label, self._classes, "targets")

    @property
    def differentiable(self) -> bool:
        return False

    @property
    def _classes(self) -> int:
        """How many quantities tell the class."""
        return len(self.quantities) - self.closest

    def score(self, values: A) -> A:
        told = values[..., : self._classes]
        fooled = (wins if self.targeted else loses)(told, self.label)
        missing = (values != values).any(-1)
        if hasattr(fooled, "to"):  # of torch
            scores = fooled.to(values).masked_fill(missing, float("nan"))
        else:
            scores = np.where(missing, np.nan, fooled).astype(values.dtype)
        ranked: A = scores / (1 + values[..., -1]) if self.closest else scores
        return ranked

    def __str__(self) -> str:
        name = self.quantities[0 if self._classes == 1 else self.label]
        if self._classes == 1:
            fooled = f"{name} is {'' if self.targeted else 'not '}{self.label}"
        else:
            fooled = f"{name} {'wins' if self.targeted else 'loses'}"
        return f"{fooled}, {self.quantities[-1]} small" if self.closest else fooled
