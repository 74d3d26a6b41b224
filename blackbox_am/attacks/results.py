"""The result of an attack as plain data: needs only numpy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blackbox_am.core.types import Accounting


class Outcome(Enum):
    """What became of one input."""

    SUCCESS = "success"
    """An input within the ball fools the model."""
    FAILED = "failed"
    """The budget was used up without a success."""
    SKIPPED = "skipped"
    """The model's answer to the clean input is wrong (or is the target class) already."""
    ERROR = "error"
    """The input could not be read, or its measurements failed."""
    UNFINISHED = "unfinished"
    """The attack was stopped before its end."""


@dataclass(frozen=True)
class AttackedInput:
    """The result for one input.

    Attributes:
        index: position among the given inputs, from 0.
        name: file name, or the position as text.
        outcome: what became of the input.
        label: the true class, or the model's own answer where no label was given; None if unknown.
        target: the class that the attack wanted; None for an untargeted attack.
        queries: rows of the search up to and including the first success, or all rows of the
            search.
        clean_label, clean_score: the model's answer to the clean input and the score of this
            class; None if it was not measured, and no score where the model tells only labels.
        adversarial_label, adversarial_score: the same for the adversarial input, or for the best
            candidate of a failure, when it was measured afresh; None if it was not.
        verified: whether the stored adversarial input fools the model again when it is measured
            afresh; None if there is no success.
        distances: distance of the adversarial input from the clean one, by norm: `linf`, `l2`,
            `l0` (number of changed values).
        message: why the input was skipped or failed to be read; often empty.
    """

    index: int
    name: str
    outcome: Outcome
    label: int | None = None
    target: int | None = None
    queries: int = 0
    clean_label: int | None = None
    clean_score: float | None = None
    adversarial_label: int | None = None
    adversarial_score: float | None = None
    verified: bool | None = None
    distances: Mapping[str, float] = field(default_factory=dict)
    message: str = ""


@dataclass(frozen=True, eq=False)
class AttackResult:
    """The result of one attack on N inputs.

    Attributes:
        attack: name of the optimizer that searched, for example the choice of `auto`.
        parameters: its parameters that the caller or the attack set; others have their defaults.
        norm, eps: the ball. `eps` is in units of an input, such as 8/255; a number of places for
            `l0`.
        targeted: whether the attack wanted a class of its own.
        budget: greatest number of search rows for each input.
        seed: determines every random number.
        oracle: name of the attacked model.
        identity: further facts that identify the run, in the order in which they are shown: version
            of the package, fingerprint of the oracle, digest of the inputs, bits, settings.
        classes: names of the model's classes; empty if they have no names.
        inputs: the result for each input, in the order of the inputs.
        clean: (N, *input) uint8 or float32 in [0, 1].
        adversarial: (N, *input), as `clean`: the adversarial input of each success, else the best
            candidate, else a copy of the clean input.
        spent: account of the oracle's calls.
        warnings: what a reader must know before the numbers are believed.
        complete: whether every input was attacked to its end.
        own_labels: whether the labels are the model's own answers to the clean inputs, so that
            the accuracy on clean inputs is unknown.
        scores: (N, classes) the model's scores of the clean inputs, nan where it gave none; None
            if it tells only labels, or if they are not kept.
        repeated: (repeats, N, classes) the answers of several measurements of some clean inputs,
            nan where there is none; numbers of classes (repeats, N, 1) of a model that tells them.
            None if every clean input was measured once.
        features: names of the values of an input that is a row of a table; empty for others.
    """

    attack: str
    parameters: Mapping[str, Any]
    norm: str
    eps: float
    targeted: bool
    budget: int
    seed: int
    oracle: str
    identity: Mapping[str, str]
    classes: tuple[str, ...]
    inputs: tuple[AttackedInput, ...]
    clean: NDArray[Any]
    adversarial: NDArray[Any]
    spent: Accounting
    warnings: tuple[str, ...] = ()
    complete: bool = True
    own_labels: bool = False
    scores: NDArray[np.float64] | None = None
    features: tuple[str, ...] = ()
    repeated: NDArray[np.float64] | None = None

    def of(self, *outcomes: Outcome) -> tuple[AttackedInput, ...]:
        """The inputs with one of these outcomes."""
        return tuple(one for one in self.inputs if one.outcome in outcomes)

    @property
    def attacked(self) -> tuple[AttackedInput, ...]:
        """The inputs that were attacked to their end."""
        return self.of(Outcome.SUCCESS, Outcome.FAILED)


def float_stimuli(stimuli: NDArray[Any]) -> NDArray[np.float32]:
    """`stimuli` as float32 in [0, 1]; uint8 is divided by 255."""
    if stimuli.dtype == np.uint8:
        return stimuli.astype(np.float32) / np.float32(255)
    return stimuli.astype(np.float32, copy=False)
