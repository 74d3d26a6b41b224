"""Every registered criterion meets the contract; and each judges as it says."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from blackbox_am.core.criterion import Criterion
from blackbox_am.core.spec import CriterionSpec
from blackbox_am.criteria.misclassified import Misclassified
from blackbox_am.criteria.target_class import TargetClass
from blackbox_am.criteria.threshold import Threshold
from blackbox_am.errors import InvalidInput, InvalidSpec
from blackbox_am.plugins import build_criterion, criteria
from blackbox_am.testing.criteria import CriterionContract

CLASSES = ("fc:0", "fc:1", "fc:2")
EXAMPLES: dict[str, Criterion] = {
    "threshold": Threshold(("fc:0", "stimulus.tv"), at_least=-0.5),
    "misclassified": Misclassified(CLASSES, label=1),
    "target_class": TargetClass(CLASSES, label=2),
    "all": Threshold(("fc:0",), at_least=0.0) & Misclassified(CLASSES),
    "any": Threshold(("fc:0",), at_most=0.0) | TargetClass(CLASSES),
}


def test_every_criterion_has_an_example() -> None:
    assert set(criteria.names()) <= set(EXAMPLES)


@pytest.mark.parametrize("kind", EXAMPLES)
class TestCriteria(CriterionContract):
    @pytest.fixture
    def criterion(self, kind: str) -> Criterion:
        return EXAMPLES[kind]


def test_bounds_belong_to_the_range() -> None:
    within = Threshold(("fc:0",), at_least=1.0, at_most=2.0)
    values = np.array([[0.9], [1.0], [2.0], [2.1], [np.inf], [-np.inf]])
    assert within.met(values).tolist() == [False, True, True, False, False, False]
    assert str(within) == "fc:0 at least 1 and at most 2"


def test_a_tie_is_no_success() -> None:
    tie = np.array([[1.0, 1.0, 0.0]])
    assert not Misclassified(CLASSES, label=0).met(tie)[0]
    assert not TargetClass(CLASSES, label=0).met(tie)[0]
    assert Misclassified(CLASSES, label=2).met(tie)[0]


def test_the_number_of_the_predicted_class_is_enough() -> None:
    predicted = np.array([[2.0], [0.0], [np.nan]])
    assert Misclassified(("api:0",), label=2).met(predicted).tolist() == [False, True, False]
    assert TargetClass(("api:0",), label=2).met(predicted).tolist() == [True, False, False]
    assert str(Misclassified(("api:0",), label=2)) == "api:0 is not 2"
    assert str(TargetClass(("api:0",), label=2)) == "api:0 is 2"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Threshold(()), "one quantity or more"),
        (lambda: Threshold(("fc:0",)), "at_least or at_most"),
        (lambda: Threshold(("fc:0",), at_least=np.inf), "finite"),
        (lambda: Threshold(("fc:0",), at_least=2.0, at_most=1.0), "lies above"),
        (lambda: Threshold(("fc:",), at_least=2.0), "not a unit"),
        (lambda: Misclassified(("fc:0",), label=-1), "number of a class, 0 or more, got label -1"),
        (lambda: TargetClass(CLASSES, label=3), "label from 0 to 2"),
        (lambda: build_criterion(CriterionSpec("all")), "joins terms"),
        (lambda: build_criterion(CriterionSpec("threshhold")), "did you mean 'threshold'"),
        (
            lambda: build_criterion(CriterionSpec("threshold", ("fc:0",), {"above": 1.0})),
            "no parameter 'above'",
        ),
        (
            lambda: build_criterion(CriterionSpec("threshold", terms=(CriterionSpec("any"),))),
            "has no terms",
        ),
    ],
)
def test_bad_criteria_are_explained(make: Callable[[], object], message: str) -> None:
    with pytest.raises((InvalidSpec, InvalidInput), match=message):
        make()
