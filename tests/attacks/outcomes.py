"""Checks of the results of attacks."""

from collections import Counter
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from blackbox_am.attacks.results import AttackResult, Outcome

from .conftest import CLASSES, Counting, answers


def outcomes(result: AttackResult) -> Counter[str]:
    return Counter(one.outcome.value for one in result.inputs)


def check(result: AttackResult, images: np.ndarray) -> None:
    """Every success fools the model as it is stored, within the ball."""
    stored = result.adversarial
    assert stored.dtype == images.dtype
    labels = answers(stored).argmax(1)
    for one in result.of(Outcome.SUCCESS):
        assert one.verified
        assert labels[one.index] == one.adversarial_label != one.label
        change = stored[one.index].astype(int) - images[one.index].astype(int)
        assert np.abs(change).max() <= np.floor(result.eps * 255 + 1e-9)
        assert one.distances["linf"] == np.abs(change).max() / 255


@dataclass(frozen=True)
class LabelsOnly(Counting):
    """Tells 1 for the predicted class and 0 for the others."""

    kind: ClassVar[str] = "labels_only"

    def observe(self, stimuli, units):
        scores = super().observe(stimuli, units)
        return torch.nn.functional.one_hot(scores.argmax(1), CLASSES).float()
