from __future__ import annotations

import numpy as np
import pytest

from blackbox_am.core.spec import ObjectiveSpec
from blackbox_am.criteria.misclassified import Misclassified
from blackbox_am.criteria.target_class import TargetClass
from blackbox_am.errors import InvalidSpec
from blackbox_am.objectives.dlr import Dlr
from blackbox_am.plugins import build_objective

CLASSES = tuple(f"fc:{i}" for i in range(5))
VALUES = np.array([[3.0, 1.0, 2.0, 0.0, -1.0], [0.0, 5.0, 1.0, 4.0, 2.0]])


def test_untargeted_is_the_papers_equation_5() -> None:
    # Row 0, class 0: -(3 - 2) / (3 - 1); row 1, class 0: -(0 - 5) / (5 - 2).
    assert Dlr(CLASSES, 0).score(VALUES) == pytest.approx([-0.5, 5 / 3])
    # Row 0, class 2: -(2 - 3) / (3 - 1); row 1, class 2: -(1 - 5) / (5 - 2).
    assert Dlr(CLASSES, 2).score(VALUES) == pytest.approx([0.5, 4 / 3])


def test_targeted_is_the_papers_equation_6() -> None:
    # Row 0: -(z_0 - z_1) / (3 - (1 + 0) / 2); row 1: -(z_0 - z_1) / (5 - (2 + 1) / 2).
    score = Dlr(CLASSES, 1, targeted=True, true_label=0).score(VALUES)
    assert score == pytest.approx([-2 / 2.5, 5 / 3.5])


def test_without_a_true_label_the_best_other_class_has_its_place() -> None:
    score = Dlr(CLASSES, 1, targeted=True).score(VALUES)
    assert score == pytest.approx([-2 / 2.5, 1 / 3.5])


def test_it_is_positive_where_the_attack_has_succeeded() -> None:
    values = np.random.default_rng(0).standard_normal((50, 5))
    for label in range(5):
        fooled = Misclassified(CLASSES, label).met(values)
        won = TargetClass(CLASSES, label).met(values)
        assert (Dlr(CLASSES, label).score(values) > 0).tolist() == fooled.tolist()
        assert (Dlr(CLASSES, label, targeted=True).score(values) > 0).tolist() == won.tolist()


def test_it_depends_neither_on_the_shift_nor_on_the_scale_of_logits() -> None:
    for objective in (Dlr(CLASSES, 1), Dlr(CLASSES, 1, targeted=True, true_label=4)):
        moved = objective.score(7 + 1000 * VALUES)
        assert moved == pytest.approx(objective.score(VALUES))
        shares = np.exp(VALUES) / np.exp(VALUES).sum(1, keepdims=True)
        scaled = Dlr(
            CLASSES,
            objective.label,
            objective.targeted,
            objective.true_label,
            scale="probabilities",
        )
        assert scaled.score(shares) == pytest.approx(objective.score(VALUES), abs=1e-6)


def test_equal_scores_stay_finite() -> None:
    equal = np.ones((1, 5), np.float32)
    assert Dlr(CLASSES, 1).score(equal) == pytest.approx([0.0])
    assert Dlr(CLASSES, 1, targeted=True).score(equal) == pytest.approx([0.0])


def test_its_parameters_stand_in_the_specification() -> None:
    objective = Dlr(CLASSES, 2, targeted=True, true_label=0)
    assert build_objective(objective.spec()) == objective
    assert str(objective) == "ratio of fc:2 ahead"
    assert str(Dlr(CLASSES)) == "ratio of others ahead of fc:0"


@pytest.mark.parametrize(
    ("quantities", "parameters", "message"),
    [
        (CLASSES, {"label": 5}, "label from 0 to 4"),
        (CLASSES[:2], {}, "three classes or more"),
        (CLASSES[:3], {"targeted": True}, "four classes or more"),
        (CLASSES, {"targeted": True, "true_label": 9}, "true_label from 0 to 4"),
        (CLASSES, {"targeted": True, "true_label": 0}, "differs from label"),
        (CLASSES, {"true_label": 1}, "true_label is for a targeted score"),
        (CLASSES, {"scale": "percent"}, "scale"),
    ],
)
def test_bad_parameters(
    quantities: tuple[str, ...], parameters: dict[str, object], message: str
) -> None:
    with pytest.raises(InvalidSpec, match=message):
        build_objective(ObjectiveSpec("dlr", quantities, parameters=parameters))
