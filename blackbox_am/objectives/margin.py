"""The margin between classes, the score for attacks on a classifier."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from blackbox_am.core.objective import A, Leaf
from blackbox_am.core.scores import Scale, check_label, check_scale, margin, on_log_scale


@dataclass(frozen=True)
class Margin(Leaf):
    """How far a class is ahead of the others, or behind them.

    If `targeted`, the score is the score of class `label` minus the largest of the others;
    otherwise it is the negative of this difference: an untargeted attack raises the best of the
    other classes above the true class. Above 0 the attack has succeeded (Carlini and Wagner,
    "Towards evaluating the robustness of neural networks", 2017, their f6 without the hinge).

    The margin is one of logits or of log-probabilities, which differ by the same number for all
    classes. Of probabilities p, log(p + 1e-12) is taken first: a margin of raw probabilities hardly
    changes where the model is certain.

    Attributes:
        quantities: the scores of all classes, two or more.
        label: the class, as its position among the quantities.
        targeted: whether the class is to win (true) or to lose.
        scale: what the scores are: `logits`, `probabilities` or `log_probabilities`. On every scale
            the score is above 0 for the same stimuli.

    Raises:
        InvalidSpec: for fewer than two classes, a label that is none of them, or an unknown scale.
    """

    kind: ClassVar[str] = "margin"

    label: int = 0
    targeted: bool = False
    scale: Scale = "logits"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_label(f"objective {self.kind!r}", self.label, len(self.quantities), "targets")
        check_scale(f"objective {self.kind!r}", self.scale)

    def score(self, values: A) -> A:
        ahead = margin(on_log_scale(values, self.scale), self.label)
        scores: A = ahead if self.targeted else -ahead
        return scores

    def __str__(self) -> str:
        name = self.quantities[self.label]
        return f"{name} ahead of the others" if self.targeted else f"others ahead of {name}"
