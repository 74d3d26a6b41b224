from __future__ import annotations

import numpy as np
import pytest
import torch

from blackbox_am.core.spec import ObjectiveSpec
from blackbox_am.errors import InvalidSpec
from blackbox_am.objectives.cross_entropy import CrossEntropy
from blackbox_am.plugins import build_objective

CLASSES = ("fc:0", "fc:1", "fc:2")
LOGITS = torch.tensor([[3.0, 1.0, 2.0], [0.0, 500.0, 1.0], [-2.0, 2.0, 0.0]])


def test_it_is_torchs_cross_entropy() -> None:
    for label in range(3):
        truth = torch.full((3,), label)
        expected = torch.nn.functional.cross_entropy(LOGITS, truth, reduction="none")
        assert torch.allclose(CrossEntropy(CLASSES, label).score(LOGITS), expected)
        targeted = CrossEntropy(CLASSES, label, targeted=True).score(LOGITS)
        assert torch.allclose(targeted, -expected)


def test_its_gradient_is_the_softmax_less_the_class() -> None:
    leaves = LOGITS.clone().requires_grad_()
    (slope,) = torch.autograd.grad(CrossEntropy(CLASSES, 1).score(leaves).sum(), leaves)
    assert torch.allclose(slope, LOGITS.softmax(1) - torch.tensor([0.0, 1.0, 0.0]))


def test_scales_agree() -> None:
    logits = LOGITS[[0, 2]].double()
    expected = CrossEntropy(CLASSES, 2).score(logits)
    for scale, values in (
        ("probabilities", logits.softmax(1)),
        ("log_probabilities", logits.log_softmax(1)),
        ("log_probabilities", logits.log_softmax(1) + 5),
    ):
        score = CrossEntropy(CLASSES, 2, scale=scale).score(values)
        assert torch.allclose(score, expected, atol=1e-9)


def test_rounded_probabilities_stay_finite() -> None:
    """Two decimals, of which the sum is not 1."""
    rounded = np.array([[0.99, 0.0, 0.0], [0.0, 0.67, 0.34]])
    score = CrossEntropy(CLASSES, 0, scale="probabilities").score(rounded)
    assert score[0] == pytest.approx(0.0, abs=1e-9)
    assert score[1] == pytest.approx(np.log(1.01e12))


def test_its_parameters_stand_in_the_specification() -> None:
    objective = CrossEntropy(CLASSES, 2, targeted=True, scale="probabilities")
    assert build_objective(objective.spec()) == objective
    assert str(objective) == "log probability of fc:2"
    assert str(CrossEntropy(CLASSES)) == "cross-entropy of fc:0"


@pytest.mark.parametrize(
    ("quantities", "parameters", "message"),
    [
        (CLASSES, {"label": 3}, "label from 0 to 2"),
        (CLASSES[:1], {}, "two classes or more"),
        (CLASSES, {"scale": "percent"}, "scale"),
        (CLASSES, {"target": 1}, "no parameter"),
    ],
)
def test_bad_parameters(
    quantities: tuple[str, ...], parameters: dict[str, object], message: str
) -> None:
    with pytest.raises(InvalidSpec, match=message):
        build_objective(ObjectiveSpec("cross_entropy", quantities, parameters=parameters))
