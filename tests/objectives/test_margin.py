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
    assert Margin(CLASSES, 2).spec().parameters == {
        "label": 2,
        "targeted": False,
        "scale": "logits",
    }
    assert str(Margin(CLASSES, 2)) == "others ahead of fc:2"
    assert str(Margin(CLASSES, 2, targeted=True)) == "fc:2 ahead of the others"


def test_probabilities_are_read_by_their_logarithms() -> None:
    certain = np.array([[1 - 1e-6, 1e-6, 0.0], [1 - 1e-9, 1e-9, 0.0]])
    raw = Margin(CLASSES, 0).score(certain)
    read = Margin(CLASSES, 0, scale="probabilities").score(certain)
    assert raw[0] - raw[1] < 1e-5
    assert read[0] - read[1] == pytest.approx(3 * np.log(10), rel=1e-3)
    # The logarithms of probabilities are logits but for a common number.
    shares = np.exp(VALUES) / np.exp(VALUES).sum(1, keepdims=True)
    for label in range(3):
        expected = Margin(CLASSES, label).score(VALUES)
        assert Margin(CLASSES, label, scale="probabilities").score(shares) == pytest.approx(
            expected, abs=1e-8
        )
        assert Margin(CLASSES, label, scale="log_probabilities").score(
            np.log(shares)
        ) == pytest.approx(expected)


def test_numbers_below_zero_count_as_no_probability() -> None:
    noisy = np.array([[1.0, -0.01, 0.0]], np.float32)
    score = Margin(CLASSES, 0, scale="probabilities").score(noisy)
    assert score == pytest.approx(np.log(1e-12), rel=1e-5)


@pytest.mark.parametrize(
    "parameters", [{"label": 3}, {"label": -1}, {"label": "fc:1"}, {"labels": 1}]
)
def test_bad_parameters(parameters: dict[str, object]) -> None:
    with pytest.raises(InvalidSpec, match=r"label from 0 to 2|label|no parameter"):
        build_objective(ObjectiveSpec("margin", CLASSES, parameters=parameters))
    with pytest.raises(InvalidSpec, match="two classes or more"):
        Margin(("fc:0",))
    with pytest.raises(InvalidSpec, match="scale"):
        build_objective(ObjectiveSpec("margin", CLASSES, parameters={"scale": "logit"}))
    with pytest.raises(InvalidSpec, match=r"expected scale logits.*got 'logit'.*'logits'"):
        Margin(CLASSES, scale="logit")  # type: ignore[arg-type]
