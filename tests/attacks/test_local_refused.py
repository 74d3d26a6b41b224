"""Requests and models that an attack refuses, and what it says."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
import torch

from blackbox_am.attacks.local import attack
from blackbox_am.attacks.results import Outcome
from blackbox_am.core.capability import FORWARD
from blackbox_am.errors import (
    GradientUnavailable,
    InvalidInput,
    ShapeMismatch,
    Unsupported,
)
from blackbox_am.oracles.torch.torch_module import TorchModule
from tests.attacks.outcomes import LabelsOnly, check, outcomes

from .conftest import CLASSES, SHAPE, Counting, answers, network


@dataclass(frozen=True)
class WithoutGradients(Counting):
    kind: ClassVar[str] = "without_gradients"

    def describe(self):
        return replace(self.inner.describe(), capabilities=FORWARD)


@dataclass(frozen=True)
class Blind(Counting):
    """Has no finite answer to bright inputs."""

    kind: ClassVar[str] = "blind"

    def observe(self, stimuli, units):
        found = super().observe(stimuli, units)
        found[stimuli.flatten(1).mean(1) > 0.6] = torch.nan
        return found


def test_an_input_without_a_finite_answer_is_an_error_and_the_rest_goes_on(images):
    images[4] = 250
    result = attack(oracle=Blind(), images=images, budget=30)
    assert [one.index for one in result.of(Outcome.ERROR)] == [4]
    assert "no finite answer" in result.inputs[4].message
    assert len(result.attacked) == 11


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"eps": 0.0}, InvalidInput, "clean accuracy is the answer"),
        ({"eps": -0.1}, InvalidInput, "above 0"),
        ({"eps": 8}, InvalidInput, "8/255"),
        ({"norm": "l3"}, InvalidInput, "linf, l2, l0"),
        ({"budget": 0}, InvalidInput, "1 row or more"),
        ({"labels": [0, 1]}, InvalidInput, "expected 12, one for each input, got 2"),
        ({"labels": [9] * 12}, InvalidInput, "from 0 to 3, got 9"),
        ({"labels": ["cat"] * 12}, InvalidInput, "number of a class"),
        ({"targets": "nest"}, InvalidInput, "number of a class"),
        ({"method": "square", "norm": "l0", "eps": 3}, InvalidInput, "square searches linf and l2"),
        ({"layer": "haed"}, InvalidInput, "no layer 'haed'"),
        ({"images": np.zeros((2, 3, 8, 9), np.uint8)}, ShapeMismatch, r"3, 8, 8"),
        ({"images": np.full((2, *SHAPE), 2.0)}, InvalidInput, "divide by 255"),
        ({"images": np.full((2, *SHAPE), np.nan)}, InvalidInput, "nan"),
        ({"method": "sqare"}, InvalidInput, "square"),
    ],
)
def test_a_bad_request_says_what_was_expected(images, changes, error, message):
    oracle = Counting()
    with pytest.raises(error, match=message):
        attack(**{"oracle": oracle, "images": images, **changes})
    assert sum(oracle.served) <= 24, "an attack began"


def test_a_wanted_class_that_is_the_true_class_is_named(images):
    labels = answers(images).argmax(1)
    targets = (labels + 1) % CLASSES
    targets[3] = labels[3]
    with pytest.raises(InvalidInput, match="the wanted class of 3 is its true class"):
        attack(oracle=Counting(), images=images, targets=targets)


def test_scores_asked_of_labels_are_refused_and_auto_finds_an_attack(images):
    with pytest.raises(Unsupported, match="rays"):
        attack(oracle=LabelsOnly(), images=images, method="square")
    result = attack(oracle=LabelsOnly(), images=images, eps=16 / 255, budget=200)
    assert result.attack == "rays"
    assert outcomes(result)["success"] >= 6
    check(result, images)


def test_a_surrogate_is_refused_where_a_search_cannot_begin_there(images, model):
    with pytest.raises(InvalidInput, match="rays does not begin at changes"):
        attack(oracle=Counting(), images=images, method="rays", surrogate=model)
    closed = WithoutGradients()
    with pytest.raises(GradientUnavailable):
        attack(oracle=Counting(), images=images, surrogate=closed)


def test_a_single_score_is_no_class(images):
    class Sigmoid(torch.nn.Module):
        def forward(self, x):
            return torch.sigmoid(network()(x)[:, :1])

    oracle = TorchModule(Sigmoid(), stimulus_shape=SHAPE)
    with pytest.raises(InvalidInput, match="number of the predicted class"):
        attack(oracle=oracle, images=images, layer="output")


def test_channels_last_are_refused():
    with pytest.raises(ShapeMismatch, match="channels last"):
        attack(oracle=lambda x: x, images=np.zeros((2, 8, 8, 3), np.uint8))
