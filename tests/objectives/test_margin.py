from __future__ import annotations

import numpy as np
import pytest

from blackbox_am.core.spec import ObjectiveSpec, from_plain
from blackbox_am.criteria.misclassified import Misclassified
from blackbox_am.criteria.target_class import TargetClass
from blackbox_am.errors import InvalidSpec
from blackbox_am.objectives.margin import Margin
from blackbox_am.plugins import build_objective

CLASSES = ("fc:0", "fc:1", "fc:2")
VALUES = np.array([[3.0, 1.0, 2.0], [0.0, 5.0, 1.0], [2.0, 2.0, 0.0]])


def test_it_is_positive_where_the_attack_has_succeeded() -> None:
    for label in range(3):
        untargeted, targeted = Margin(CLASSES, label), Margin(CLASSES, label, targeted=True)
        fooled = Misclassified(CLASSES, label).met(VALUES)
        won = TargetClass(CLASSES, label).met(VALUES)
        assert (untargeted.score(VALUES) > 0).tolist() == fooled.tolist()
        assert (targeted.score(VALUES) > 0).tolist() == won.tolist()


def test_scores() -> None:
    assert Margin(CLASSES, 0).score(VALUES).tolist() == [-1.0, 5.0, 0.0]
    assert Margin(CLASSES, 2, targeted=True).score(VALUES).tolist() == [-1.0, -4.0, -2.0]


def test_its_parameters_stand_in_the_specification() -> None:
    plain = {"kind": "margin", "quantities": list(CLASSES), "parameters": {"label": 2}}
    spec = from_plain(ObjectiveSpec, plain)
    assert build_objective(spec) == Margin(CLASSES, label=2)
    assert Margin(CLASSES, 2).spec().parameters == {"label": 2, "targeted": False}
    assert str(Margin(CLASSES, 2)) == "others ahead of fc:2"
    assert str(Margin(CLASSES, 2, targeted=True)) == "fc:2 ahead of the others"


@pytest.mark.parametrize(
    "parameters", [{"label": 3}, {"label": -1}, {"label": "fc:1"}, {"labels": 1}]
)
def test_bad_parameters(parameters: dict[str, object]) -> None:
    with pytest.raises(InvalidSpec, match=r"label from 0 to 2|label|no parameter"):
        build_objective(ObjectiveSpec("margin", CLASSES, parameters=parameters))
    with pytest.raises(InvalidSpec, match="two classes or more"):
        Margin(("fc:0",))
