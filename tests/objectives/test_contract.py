"""The contract of objectives, over every registered one and the algebra's."""

from collections.abc import Callable

import pytest

from blackbox_am import plugins
from blackbox_am.core.objective import Objective
from blackbox_am.objectives.cross_entropy import CrossEntropy
from blackbox_am.objectives.deepdream import Deepdream
from blackbox_am.objectives.direction import Direction
from blackbox_am.objectives.dlr import Dlr
from blackbox_am.objectives.interpolation import Interpolation
from blackbox_am.objectives.inversion import Inversion
from blackbox_am.objectives.label import Label
from blackbox_am.objectives.margin import Margin
from blackbox_am.objectives.mean import Mean
from blackbox_am.objectives.similarity import Similarity
from blackbox_am.objectives.weighted import Weighted
from blackbox_am.testing.objectives import ObjectiveContract

CLASSES = ("fc:0", "fc:1", "fc:2", "fc:3")

EXAMPLES: dict[str, Callable[[], Objective]] = {
    "label": lambda: Label(("fc:0", "fc:1", "stimulus.l2_distance"), label=1, closest=True),
    "cross_entropy": lambda: CrossEntropy(CLASSES, label=1),
    "deepdream": lambda: Deepdream(("conv", "conv2:3")),
    "direction": lambda: Direction(CLASSES, (1.0, -0.5, 0.0, 2.0), power=2),
    "dlr": lambda: Dlr(CLASSES, label=1),
    "interpolation": lambda: Interpolation(("fc:1", "conv:2"), t=0.25),
    "similarity": lambda: Similarity(CLASSES, ((1.0, 0.0, 2.0, 0.5), (0.0, -1.0, 0.0, 3.0))),
    "inversion": lambda: Inversion(CLASSES, (1.0, 0.0, -2.0, 0.5)),
    "mean": lambda: Mean(("fc:1", "fc:4@center!max")),
    "margin": lambda: Margin(("fc:0", "fc:1", "fc:2"), label=1, targeted=True),
    "weighted": lambda: Weighted(("fc:1", "fc:2", "conv:0"), (1.0, -0.5, 2.0)),
}

JOINED: dict[str, Callable[[], Objective]] = {
    "sum": lambda: Mean(("fc:1",)) + Mean(("fc:2", "fc:3")),
    "difference": lambda: Mean(("fc:1",)) - Mean(("fc:2",)),
    "product": lambda: Mean(("fc:1",)) * Mean(("fc:2",)),
    "multiple": lambda: 2 * Mean(("fc:1",)),
    "negative": lambda: -Mean(("fc:1",)),
    "penalised": lambda: Mean(("fc:1",)) - 0.5 * Mean(("stimulus.tv", "latent.norm")),
    "nested": lambda: Mean(("a:1",)) * (Weighted(("b:1", "b:2"), (1, -1)) - 3 * Mean(("c:1",))),
}


class TestRegistered(ObjectiveContract):
    @pytest.fixture(params=plugins.objectives.names())
    def objective(self, request: pytest.FixtureRequest) -> Objective:
        if request.param not in EXAMPLES:
            pytest.fail(f"objective {request.param!r} has no example: add one to EXAMPLES here")
        example = EXAMPLES[request.param]()
        assert type(example) is plugins.objectives.get(request.param)
        assert example.spec().kind == request.param
        return example


SCALED: dict[str, Callable[[], Objective]] = {
    "product with a direction": lambda: Direction(CLASSES, (1, -0.5, 0, 2)),
    "margin": lambda: Margin(CLASSES, label=1, scale="probabilities"),
    "cross_entropy": lambda: CrossEntropy(CLASSES, 1, targeted=True, scale="probabilities"),
    "dlr": lambda: Dlr(CLASSES, label=1, scale="probabilities"),
    "targeted dlr": lambda: Dlr(CLASSES, label=1, targeted=True, scale="log_probabilities"),
    "dlr of two labels": lambda: Dlr(CLASSES, label=1, targeted=True, true_label=3),
}


class TestScaled(ObjectiveContract):
    @pytest.fixture(params=SCALED)
    def objective(self, request: pytest.FixtureRequest) -> Objective:
        return SCALED[request.param]()


class TestAlgebra(ObjectiveContract):
    @pytest.fixture(params=JOINED)
    def objective(self, request: pytest.FixtureRequest) -> Objective:
        return JOINED[request.param]()
