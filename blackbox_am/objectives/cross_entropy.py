"""The cross-entropy of a class, the loss that classifiers are trained with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from blackbox_am.core.objective import A, Leaf
from blackbox_am.core.scores import (
    Scale,
    check_label,
    check_scale,
    log_probability,
    on_log_scale,
)


@dataclass(frozen=True)
class CrossEntropy(Leaf):
    """The cross-entropy -log p of the true class, or log p of a class that is to win.

    p is the softmax of the scores at class `label`: the probability of the class. The untargeted
    score -log p is 0 or more and grows as the model leaves the class; the targeted score log p is
    0 or less and grows as the model approaches the class (Goodfellow, Shlens and Szegedy,
    "Explaining and harnessing adversarial examples", 2015; Madry et al., "Towards deep learning
    models resistant to adversarial attacks", 2018). Unlike `margin`, the score does not say whether
    the attack has succeeded: the criterion `misclassified` or `target_class` says so.

    Probabilities are read as log(p + 1e-12), so that their sum is made 1: an API that rounds its
    answers, or names only its best classes, gives usable scores.

    Attributes:
        quantities: the scores of all classes, two or more.
        label: the class, as its position among the quantities.
        targeted: whether the class is to win (true) or to lose.
        scale: what the scores are: `logits`, `probabilities` or `log_probabilities`.

    Raises:
        InvalidSpec: for fewer than two classes, a label that is none of them, or an unknown scale.
    """

    kind: ClassVar[str] = "cross_entropy"

    label: int = 0
    targeted: bool = False
    scale: Scale = "logits"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_label(f"objective {self.kind!r}", self.label, len(self.quantities), "targets")
        check_scale(f"objective {self.kind!r}", self.scale)

    def score(self, values: A) -> A:
        likely = log_probability(on_log_scale(values, self.scale), self.label)
        scores: A = likely if self.targeted else -likely
        return scores

    def __str__(self) -> str:
        name = self.quantities[self.label]
        return f"log probability of {name}" if self.targeted else f"cross-entropy of {name}"
