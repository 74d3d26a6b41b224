"""The objective of attacks that know only the predicted class."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from blackbox_am.core.spec import ObjectiveSpec
from blackbox_am.criteria.misclassified import Misclassified
from blackbox_am.criteria.target_class import TargetClass
from blackbox_am.errors import InvalidSpec
from blackbox_am.objectives.label import Label
from blackbox_am.plugins import build_objective

CLASSES = ("fc:0", "fc:1", "fc:2")
SCORES = np.array([[3.0, 1.0, 2.0], [0.0, 5.0, 1.0], [2.0, 2.0, 0.0], [np.nan, 9.0, 0.0]])
DISTANCE = "stimulus.linf_distance"


@pytest.mark.parametrize("convert", [np.asarray, torch.from_numpy], ids=["numpy", "torch"])
def test_it_agrees_with_the_criteria(convert: Callable[[np.ndarray], np.ndarray]) -> None:
    values = convert(SCORES)
    for label in range(3):
        for targeted, criterion in ((False, Misclassified), (True, TargetClass)):
            score = np.asarray(Label(CLASSES, label, targeted).score(values))
            assert np.isnan(score[3])
            assert (score[:3] == 1).tolist() == np.asarray(criterion(CLASSES, label).met(values))[
                :3
            ].tolist()
            assert set(score[:3].tolist()) <= {0.0, 1.0}


def test_a_tie_fools_nobody() -> None:
    tie = SCORES[2:3]
    assert Label(CLASSES, 0).score(tie).tolist() == [0.0]
    assert Label(CLASSES, 0, targeted=True).score(tie).tolist() == [0.0]
    assert Label(CLASSES, 2).score(tie).tolist() == [1.0]


def test_scores_of_minus_infinity_are_scores() -> None:
    log_probabilities = np.array([[-np.inf, 0.0, -np.inf]])
    assert Label(CLASSES, 0).score(log_probabilities).tolist() == [1.0]


def test_the_closest_change_that_fools_scores_best() -> None:
    objective = Label((*CLASSES, DISTANCE), label=0, closest=True)
    distances = np.array([[0.1], [0.25], [0.1], [0.1]])
    score = objective.score(np.concatenate([SCORES, distances], axis=1))
    assert score[:3].tolist() == [0.0, 1 / 1.25, 0.0]
    assert np.isnan(score[3])
    assert np.isnan(objective.score(np.array([3.0, 1.0, 2.0, np.nan])))


def test_the_number_of_the_predicted_class_is_enough() -> None:
    predicted = np.array([[2.0], [0.0], [np.nan]], np.float32)
    untargeted = Label(("api:0",), label=2).score(predicted)
    targeted = Label(("api:0",), label=2, targeted=True).score(predicted)
    assert untargeted[:2].tolist() == [0.0, 1.0]
    assert targeted[:2].tolist() == [1.0, 0.0]
    assert np.isnan([untargeted[2], targeted[2]]).all()
    assert untargeted.dtype == np.float32
    closest = Label(("api:0", DISTANCE), label=2, closest=True)
    assert closest.score(np.array([0.0, 1.0])) == 0.5


def test_titles() -> None:
    assert str(Label(CLASSES, 2)) == "fc:2 loses"
    assert str(Label(("api:0",), 2)) == "api:0 is not 2"
    near = Label((*CLASSES, DISTANCE), 1, targeted=True, closest=True)
    assert str(near) == f"fc:1 wins, {DISTANCE} small"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Label(CLASSES, 3), "label from 0 to 2"),
        (lambda: Label(("api:0",), -1), "number of a class, 0 or more"),
        (lambda: Label(CLASSES, closest=True), "of measures one at the end"),
        (lambda: Label((*CLASSES, DISTANCE)), "none without closest"),
        (lambda: Label((DISTANCE, "fc:0"), closest=True), "of measures one at the end"),
        (lambda: Label((DISTANCE,), closest=True), "label from 0 to 1, got 0 quantities"),
        (
            lambda: build_objective(ObjectiveSpec("label", CLASSES, parameters={"label": "a"})),
            "label",
        ),
    ],
)
def test_bad_parameters(make: Callable[[], object], message: str) -> None:
    with pytest.raises(InvalidSpec, match=message):
        make()
