"""Probes, TCAV and alignment, where the direction is planted."""

import numpy as np
import pytest
import torch
from torch import nn

from blackbox_am.analysis.directions import alignment, probe, tcav
from blackbox_am.analysis.directions.linear import cosine
from blackbox_am.analysis.directions.tcav import (
    derivatives,
    positive_part,
    random_scores,
    two_sided,
)
from blackbox_am.analysis.subject import Subject
from blackbox_am.core.units import Unit, find_layer
from blackbox_am.errors import (
    CapabilityMissing,
    GradientUnavailable,
    InvalidSpec,
    ShapeMismatch,
    Unsupported,
)
from blackbox_am.generators.parametric.pixels import Pixels
from blackbox_am.oracles.function import Function
from blackbox_am.oracles.simulated import Simulated
from blackbox_am.oracles.torch.torch_module import TorchModule
from blackbox_am.studies.local import maximise
from tests.analysis.models import Counted

WIDTH = 32
SCALE = 24.0


def as_stimuli(values: np.ndarray) -> np.ndarray:
    return (0.5 + values / SCALE).clip(0, 1).astype(np.float32)


def wide() -> Counted:
    """A layer of 32 units that answers the numbers behind the stimuli."""
    return Counted(lambda x: (x - 0.5) * SCALE)


def shifted(rows: int, direction: np.ndarray, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((rows, WIDTH)) + direction


def test_the_planted_direction_is_found_and_becomes_a_target():
    planted = np.random.default_rng(7).standard_normal(WIDTH)
    planted /= np.linalg.norm(planted)
    model = wide()
    found = probe(
        model.oracle(WIDTH),
        "scores",
        as_stimuli(shifted(400, 3 * planted, 0)),
        as_stimuli(shifted(1200, 0 * planted, 1)),
    )
    assert cosine(found.direction, planted) >= 0.95
    low, high = found.interval
    assert low <= found.accuracies.mean() <= high
    assert found.accuracies.mean() > 0.9
    assert found.spent.rows == model.rows == 1601  # and the row that describes the function
    assert "Accuracy does not establish alignment" in found.page()
    best = maximise(
        oracle=model.oracle(WIDTH),
        generator=Pixels((WIDTH,)),
        targets=[found.objective()],
        queries_per_target=400,
    ).best[0]
    answer = (np.asarray(best.stimulus) - 0.5) * SCALE
    assert cosine(answer, planted) > 0.4


def test_a_concept_with_one_example_is_refused():
    with pytest.raises(InvalidSpec, match="positive: expected 4 examples or more"):
        probe(wide().oracle(WIDTH), "scores", np.full((1, WIDTH), 0.5), np.full((9, WIDTH), 0.5))


def toy(rows: int, seed: int):
    """Examples of a concept (axis 0, shift 1.2) with an attribute (axis 1, shift 3) that agrees
    with it in 9 of 10 cases.
    """
    draws = np.random.default_rng(seed)
    concept = draws.random(rows) < 0.5
    attribute = np.where(draws.random(rows) < 0.9, concept, ~concept)
    values = draws.standard_normal((rows, WIDTH))
    values[:, 0] += 1.2 * (concept - 0.5)
    values[:, 1] += 3.0 * (attribute - 0.5)
    return as_stimuli(values), concept, attribute


def test_a_probe_of_a_spurious_attribute_is_found_out():
    stimuli, concept, _ = toy(4000, 0)
    others, kind, attribute = toy(8000, 1)
    conflict = kind != attribute
    found = alignment(
        wide().oracle(WIDTH),
        "scores",
        stimuli[concept],
        stimuli[~concept],
        hard_positive=others[conflict & kind],
        hard_negative=others[conflict & ~kind],
    )
    assert found.plain == pytest.approx(0.85, abs=0.03)
    assert found.hard <= 0.4
    assert found.false_positive == pytest.approx(found.plain, abs=0.03)
    assert found.cosine >= 0.95
    assert found.cured_hard > found.hard + 0.15
    assert found.cured_plain < found.plain - 0.1
    text = found.page()
    assert "Accuracy does not establish alignment." in text
    assert f"{found.cured_plain:.1%}" in text
    assert f"{found.cured_hard:.1%}" in text


def test_hard_examples_of_one_kind_are_refused():
    x = np.full((9, 3, 8, 8), 0.5)
    with pytest.raises(InvalidSpec, match="expected hard examples of both kinds"):
        alignment(Simulated(), "units", x, x, hard_positive=x)


def test_hard_negatives_are_chosen_where_none_are_given():
    stimuli, concept, _ = toy(3000, 2)
    found = alignment(wide().oracle(WIDTH), "scores", stimuli[concept], stimuli[~concept])
    assert found.chosen
    assert found.hard < found.plain - 0.1
    assert found.augmented == {}


class Colour(nn.Module):
    def __init__(self):
        super().__init__()
        self.maps = nn.Conv2d(3, 3, 1, bias=False)
        self.act = nn.ReLU()
        self.head = nn.Linear(3, 2, bias=False)
        with torch.no_grad():
            self.maps.weight.copy_(torch.eye(3)[:, :, None, None])
            self.head.weight.copy_(torch.tensor([[1.0, 0.0, 0.0], [-1.0, 0.2, 0.0]]))

    def forward(self, x):
        return self.head(self.act(self.maps(x)).mean((2, 3)))


def colour():
    return TorchModule(Colour().eval(), (3, 16, 16), device="cpu")


def red_squares(rows: int):
    draws = np.random.default_rng(3)
    stimuli = draws.random((2 * rows, 3, 16, 16)).astype(np.float32) * 0.4
    masks = np.zeros((rows, 16, 16), bool)
    for row in range(rows):
        top, left = draws.integers(0, 8, 2)
        masks[row, top : top + 8, left : left + 8] = True
        stimuli[row, 0][masks[row]] = 1.0
    return stimuli[:rows], stimuli[rows:], masks


def test_the_map_of_an_aligned_direction_is_high_inside_the_concept():
    positive, negative, masks = red_squares(60)
    found = alignment(colour(), "act", positive, negative, masks=masks)
    assert found.segmentation >= 0.95
    assert set(found.augmented) == {"shifted by 2", "flipped", "scaled by 0.75"}
    assert min(found.augmented.values()) > 0.8
    with pytest.raises(ShapeMismatch, match=r"masks: expected shape \(60, 16, 16\)"):
        alignment(colour(), "act", positive, negative, masks=masks[:, ::2])
    with pytest.raises(CapabilityMissing, match="segmentation score needs the capability MAPS"):
        alignment(Simulated(), "units", np.zeros((9, 3, 8, 8)), np.zeros((9, 3, 8, 8)), masks=masks)


def test_tcav_of_a_class_that_follows_the_concept():
    positive, negative, _ = red_squares(120)
    stimuli = negative[:20]
    up = tcav(colour(), "head:0", "act", stimuli, positive[:30], negative, draws=3, sets=25)
    down = tcav(colour(), "head:1", "act", stimuli, positive[:30], negative, draws=3, sets=25)
    assert up.scores.tolist() == [1, 1, 1]
    assert down.scores.tolist() == [0, 0, 0]
    assert up.spent.rows == 20 + 30 + 120
    assert up.spent.backward_rows == 20
    with pytest.raises(Unsupported, match="does not depend on layer 'head'"):
        tcav(colour(), "act:0", "head", stimuli, positive[:30], negative, draws=1, sets=2)


def test_derivatives_are_those_before_a_relu_that_works_in_place():
    stimuli = torch.rand(5, 1, 6, 6, generator=torch.Generator().manual_seed(0))
    found = []
    for in_place in (False, True):
        with torch.random.fork_rng():
            torch.manual_seed(2)
            net = nn.Sequential(
                nn.Conv2d(1, 3, 3, bias=False), nn.ReLU(in_place), nn.Flatten(), nn.Linear(48, 2)
            )  # fmt: skip
        oracle = TorchModule(net.eval(), (1, 6, 6), device="cpu")
        target = Subject(oracle, ["3:0"], method="tcav")
        layer = find_layer(target.info, Unit("0"))
        found.append(derivatives(target, oracle.running_module()[0], layer, stimuli))
    maps = net[0](stimuli)
    expected = ((maps > 0) * net[3].weight[0].reshape(3, 4, 4)).sum((2, 3))
    assert found[0] == pytest.approx(expected.detach().numpy(), abs=1e-6)
    assert np.array_equal(found[0], found[1])


def test_random_sets_against_random_sets_are_not_significant():
    draws = np.random.default_rng(0)
    slopes = draws.standard_normal((60, 8)) + 0.3
    pool = draws.standard_normal((150, 8))
    others = random_scores(slopes, pool, 20, 2, 40, seed=0)
    concepts = random_scores(slopes, pool, 20, 2, 100, seed=1)
    p = np.array([two_sided(float(one), others) for one in concepts])
    assert (p > 0.05).sum() >= 90
    assert two_sided(5.0, others) == pytest.approx(1 / 41)
    assert positive_part(slopes, np.ones((1, 8)))[0] > 0.5


def test_tcav_without_gradients_or_module_is_refused():
    x = np.full((40, 3, 8, 8), 0.5)
    with pytest.raises(GradientUnavailable, match=r"tcav needs the capability GRADIENTS.*probe"):
        tcav(Simulated(), "units:0", "units", x, x[:4], x)
    with pytest.raises(CapabilityMissing, match=r"needs the PyTorch module itself.*probe"):
        tcav(Simulated(gradients=True), "units:0", "units", x, x[:4], x)
    function = Function(lambda s: s.flatten(1)[:, :2], (3, 8, 8), arrays="torch")
    with pytest.raises(GradientUnavailable):
        tcav(function, "scores:0", "scores", x, x[:4], x)
