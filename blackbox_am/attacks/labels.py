"""Labels of inputs, and the classes that a targeted attack wants."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blackbox_am.attacks.answers import Answers
from blackbox_am.attacks.planning import Classes
from blackbox_am.errors import InvalidInput, Unsupported, did_you_mean

Labels = NDArray[np.int64]
RULES = ("next", "least-likely")
"""Words for the classes that a targeted attack wants."""


@dataclass(frozen=True)
class Goals:
    """What is known of N inputs.

    Attributes:
        names: of the inputs.
        labels: (N,) the true classes, numbers or names; None for the model's own answers to the
            clean inputs.
        targets: the wanted classes of a targeted attack: (N,) numbers or names; one class for all;
            `next`, the class after the true one; or `least-likely`, the class with the lowest score
            for the clean input. None for an untargeted attack.
    """

    names: Sequence[str]
    labels: Sequence[Any] | None = None
    targets: Sequence[Any] | str | int | None = None

    @property
    def targeted(self) -> bool:
        """Whether the attack is targeted."""
        return self.targets is not None

    @property
    def _one_by_one(self) -> bool:
        """Whether a wanted class was given for each input."""
        return self.targets is not None and not isinstance(self.targets, (str, int))

    def check(self) -> None:
        """Check that there is a label, and a wanted class, for each input.

        Raises:
            InvalidInput: if there are more or fewer.
        """
        for field, given in (("labels", self.labels), ("targets", self.targets)):
            if given is None or isinstance(given, (str, int)) or len(given) == len(self.names):
                continue
            raise InvalidInput(
                f"{field}: expected {len(self.names)}, one for each input, got {len(given)}",
                field=field,
            )

    def resolved(self, answers: Answers, classes: Classes) -> tuple[Labels, Labels | None]:
        """(N,) true classes, -1 where they are unknown, and (N,) wanted classes.

        Raises:
            InvalidInput: for a class that does not exist, or a wanted class, given for one input,
                that is its true class. Of one class for all, such inputs are left out.
            Unsupported: for a rule that needs scores, if the model tells only labels.
        """
        labels = answers.labels
        if self.labels is not None:
            labels = self._numbers("labels", self.labels, classes)
        if self.targets is None:
            return labels, None
        wanted = self._wanted(answers, classes, labels)
        same = np.flatnonzero((wanted == labels) & (labels >= 0))
        if len(same) and self._one_by_one:
            index = int(same[0])
            raise InvalidInput(
                f"targets: the wanted class of {self.names[index]} is its true class, "
                f"{_name(classes, int(labels[index]))}; choose another one"
                + (f" ({len(same)} inputs have this fault)" if len(same) > 1 else ""),
                field="targets",
            )
        return labels, wanted

    def _wanted(self, answers: Answers, classes: Classes, labels: Labels) -> Labels:
        if isinstance(self.targets, str) and self.targets in RULES:
            if answers.numbers or (answers.labels_only and self.targets == "least-likely"):
                needs = "scores" if self.targets == "least-likely" else "the number of classes"
                raise Unsupported(
                    f"targets: {self.targets!r} needs {needs}, and the model tells only labels; "
                    "give the wanted classes",
                    field="targets",
                )
            count = answers.scores.shape[1]
            return answers.least_likely if self.targets == "least-likely" else (labels + 1) % count
        if isinstance(self.targets, (str, int)):
            return self._numbers("targets", [self.targets] * len(self.names), classes)
        assert self.targets is not None
        return self._numbers("targets", self.targets, classes)

    def _numbers(self, field: str, given: Sequence[Any], classes: Classes) -> Labels:
        count = None if len(classes.quantities) == 1 else len(classes.quantities)
        counts = Counter(classes.names)
        known = {n: number for number, n in enumerate(classes.names) if counts[n] == 1}
        return np.array(
            [
                _number(field, one, name, known, count)
                for one, name in zip(given, self.names, strict=True)
            ],
            np.int64,
        )


def _number(field: str, given: Any, of: str, known: Mapping[str, int], count: int | None) -> int:
    whole = isinstance(given, float) and given.is_integer()
    text = str(int(given) if whole else given).strip()
    if text in known:
        return known[text]
    try:
        number = int(text)
    except ValueError:
        names = f" or a name such as {', '.join(list(known)[:3])}" if known else ""
        raise InvalidInput(
            f"{field}: expected the number of a class{names}, got {text!r} for {of}"
            f"{did_you_mean(text, known)}",
            field=field,
        ) from None
    if number < 0 or (count is not None and number >= count):
        most = "" if count is None else f" to {count - 1}"
        raise InvalidInput(
            f"{field}: expected a class from 0{most}, got {number} for {of}", field=field
        )
    return number


def _name(classes: Classes, label: int) -> str:
    return classes.names[label] if label < len(classes.names) else str(label)
