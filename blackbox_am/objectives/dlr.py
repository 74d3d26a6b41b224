"""The difference of logits ratio, a margin that does not depend on the scale of the logits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from blackbox_am.core.objective import A, Leaf
from blackbox_am.core.scores import (
    Scale,
    check_label,
    check_scale,
    descending,
    largest,
    on_log_scale,
    others,
)
from blackbox_am.errors import InvalidSpec

LEAST_SPREAD = 1e-12
"""Added to the divisor, which is 0 if the best classes have equal scores."""


@dataclass(frozen=True)
class Dlr(Leaf):
    """The margin between classes, divided by the spread of the largest logits.

    Source: F. Croce and M. Hein, "Reliable evaluation of adversarial robustness with an ensemble of
    diverse parameter-free attacks" (ICML 2020), equations 5 and 6. With the logits in descending
    order z(1), z(2), ... the score of true class y and, if targeted, of class t is

    untargeted  -(z_y - max of the others) / (z(1) - z(3))
    targeted    -(z_y - z_t) / (z(1) - (z(3) + z(4)) / 2)

    The ratio stays the same if all logits are shifted or multiplied by a positive number, so that
    a model cannot hide its gradients behind large logits. The untargeted score is above 0 exactly
    where the model is fooled. The targeted score of the paper is above 0 where class t is ahead of
    the true class, which need not be the best. This implementation differs in one thing: without
    `true_label` the targeted score has the best of the other classes in place of z_y, and is then
    above 0 exactly where class t wins.

    Attributes:
        quantities: the scores of all classes: three or more, and four or more if targeted.
        label: the true class, or the class that is to win, as its position among the quantities.
        targeted: whether the class is to win (true) or to lose.
        true_label: y of the targeted score; the best of the other classes if None.
        scale: what the scores are: `logits`, `probabilities` (read as log(p + 1e-12)) or
            `log_probabilities`.

    Raises:
        InvalidSpec: for too few classes, a label that is none of them, a true label that equals the
            label or is given without `targeted`, or an unknown scale.
    """

    kind: ClassVar[str] = "dlr"

    label: int = 0
    targeted: bool = False
    true_label: int | None = None
    scale: Scale = "logits"

    def __post_init__(self) -> None:
        super().__post_init__()
        what, classes, least = f"objective {self.kind!r}", len(self.quantities), 3 + self.targeted
        check_label(what, self.label, classes, "targets", least=least)
        check_scale(what, self.scale)
        if self.true_label is None:
            return
        check_label(what, self.true_label, classes, "targets", "true_label", least)
        if not self.targeted or self.true_label == self.label:
            raise InvalidSpec(
                f"{what}: true_label is for a targeted score, and differs from label, the class "
                f"that is to win; got true_label {self.true_label}, label {self.label} and "
                f"targeted {self.targeted}",
                field="targets.parameters.true_label",
            )

    def score(self, values: A) -> A:
        logits = on_log_scale(values, self.scale)
        mine, rest = logits[..., self.label], largest(others(logits, self.label))
        best = descending(logits)
        if not self.targeted:
            ratio: A = (rest - mine) / (best[..., 0] - best[..., 2] + LEAST_SPREAD)
            return ratio
        behind = rest if self.true_label is None else logits[..., self.true_label]
        spread = best[..., 0] - (best[..., 2] + best[..., 3]) / 2
        targeted: A = (mine - behind) / (spread + LEAST_SPREAD)
        return targeted

    def __str__(self) -> str:
        name = self.quantities[self.label]
        return f"ratio of {name} ahead" if self.targeted else f"ratio of others ahead of {name}"
