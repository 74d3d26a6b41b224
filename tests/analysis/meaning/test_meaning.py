"""Concepts of units, ablation and facets, where the right answer is planted."""

import numpy as np
import pytest
import torch
from torch import nn

from blackbox_am.analysis.meaning import ablate, clip_dissect, dissect, facets
from blackbox_am.analysis.meaning.clip_dissect import SIMILARITIES
from blackbox_am.core.units import Unit
from blackbox_am.errors import (
    CapabilityMissing,
    InvalidSpec,
    OracleFailed,
    ShapeMismatch,
    Unsupported,
)
from blackbox_am.generators.parametric.cppn import CPPN
from blackbox_am.generators.parametric.pixels import Pixels
from blackbox_am.oracles.function import Function
from blackbox_am.oracles.simulated import Simulated
from blackbox_am.oracles.torch.torch_module import TorchModule
from tests.analysis.models import Counted, gabor, linear

RED, GREEN = 0, 1


def shapes(rows=24, side=32, size=8):
    """Red squares and green circles, and the masks (N, 2, side, side) of both."""
    draws = np.random.default_rng(0)
    stimuli = draws.random((rows, 3, side, side)).astype(np.float32) * 0.2
    masks = np.zeros((rows, 2, side, side), bool)
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    disc = x**2 + y**2 <= (size / 2) ** 2
    for row in range(rows):
        kind = row % 2
        top, left = draws.integers(0, side - size, 2)
        mask = np.ones((size, size), bool) if kind == RED else disc
        masks[row, kind, top : top + size, left : left + size] = mask
        stimuli[row, kind][masks[row, kind]] = 0.95
    return stimuli, masks


class Maps(nn.Module):
    """Channel 0 is red, channel 1 green, the others see noise."""

    def __init__(self):
        super().__init__()
        self.maps = nn.Conv2d(3, 4, 1, bias=False)
        self.act = nn.ReLU()
        self.head = nn.Linear(4, 2, bias=False)
        with torch.no_grad():
            self.maps.weight.zero_()
            self.maps.weight[0, RED] = 1
            self.maps.weight[1, GREEN] = 1
            self.maps.weight[2, 2] = 1
            self.maps.weight[3, 2] = -1
            self.head.weight.zero_()
            self.head.weight[0, 0] = self.head.weight[1, 1] = 1

    def forward(self, x):
        return self.head(self.act(self.maps(x)).mean((2, 3)))


def local():
    return TorchModule(Maps().eval(), (3, 32, 32), device="cpu")


def test_the_planted_concepts_are_found_and_noise_has_none():
    stimuli, masks = shapes()
    part = masks[:, RED].mean()
    found = dissect(local(), "maps", stimuli, masks, ["square", "circle"], quantile=float(part))
    assert found.labels[0] == "square"
    assert found.iou[0, 0] >= 0.8
    assert found.labels[1] == "circle"
    assert found.labels[2:] == (None, None)
    assert found.spent.rows == 24
    assert "square" in found.page()


def test_maps_are_read_position_by_position_where_there_are_no_whole_maps():
    stimuli, masks = shapes(side=16)
    net = Maps().eval()
    whole = TorchModule(net, (3, 16, 16), device="cpu")
    pieces = Function(lambda x: {"maps": net.maps(x)}, (3, 16, 16), arrays="torch")
    first, second = (
        dissect(oracle, "maps", stimuli, masks, ["square", "circle"]) for oracle in (whole, pieces)
    )
    assert second.iou == pytest.approx(first.iou)
    assert second.spent.rows == 25  # and the row that describes the function


def test_dissection_says_what_is_wrong():
    stimuli, masks = shapes()
    with pytest.raises(CapabilityMissing, match=r"MAPS.*SCORES, UNITS; use clip_dissect"):
        dissect(Simulated(), "units", np.zeros((3, 3, 8, 8)), masks, ["square", "circle"])
    with pytest.raises(ShapeMismatch, match=r"masks: expected shape \(24, 2, 32, 32\)"):
        dissect(local(), "maps", stimuli, masks[..., ::2], ["square", "circle"])
    lonely = masks.copy()
    lonely[3:, 1] = False
    with pytest.raises(InvalidSpec, match="concept 'circle' is in 1 stimulus"):
        dissect(local(), "maps", stimuli, lonely, ["square", "circle"])
    with pytest.raises(InvalidSpec, match="has no height and width"):
        dissect(local(), "head", stimuli, masks, ["square", "circle"])


def test_silencing_a_unit_costs_its_own_shape_only():
    stimuli, _ = shapes()
    classes = np.arange(24) % 2
    found = ablate(local(), ["act:0", "act:1", "act:2"], stimuli, classes, layer="head")
    assert found.whole.tolist() == [1, 1]
    assert found.drops[0].tolist() == [1, 0]
    assert found.drops[1].tolist() == [0, 1]
    assert found.drops[2].tolist() == [0, 0]
    assert found.spent.rows == 4 * 24
    assert "Without act:0" in found.lead()[0]


def test_what_silences_nothing_is_refused():
    stimuli, _ = shapes()
    classes = np.arange(24) % 2
    with pytest.raises(InvalidSpec, match="needs a unit to silence"):
        ablate(local(), [], stimuli, classes, layer="head")
    later = nn.Sequential(Maps(), nn.Linear(2, 2)).eval()
    oracle = TorchModule(later, (3, 32, 32), device="cpu")
    with pytest.raises(InvalidSpec, match=r"unit '1:0': its layer runs after '0\.head'"):
        ablate(oracle, ["1:0"], stimuli, classes, layer="0.head")


def test_values_that_are_not_numbers_are_refused():
    stimuli, masks = shapes()

    class Nan(Maps):
        def forward(self, x):
            found = self.act(self.maps(x))
            return self.head((found / found.mean((2, 3), keepdim=True).sum(1, True)).mean((2, 3)))

    broken = Nan()
    broken.head.weight.data[:, 2:] = 0
    oracle = TorchModule(broken.eval(), (3, 32, 32), device="cpu")
    with pytest.raises(OracleFailed, match="24 of 24 measurements are nan or infinite; ablate"):
        ablate(oracle, ["act"], stimuli, np.arange(24) % 2, layer="head")
    wrong = Maps()
    wrong.maps.weight.data[3] = torch.nan
    with pytest.raises(OracleFailed, match="nan or infinite; dissect"):
        dissect(
            TorchModule(wrong.eval(), (3, 32, 32), device="cpu"),
            "maps", stimuli, masks, ["square", "circle"],
        )  # fmt: skip


def test_no_more_is_padded_than_for_scores():
    stimuli, masks = shapes(rows=30)
    oracle = TorchModule(Maps().eval(), (3, 32, 32), device="cpu", batch_size=16)
    found = ablate(oracle, ["act:0"], stimuli, np.arange(30) % 2, layer="head")
    assert found.spent.rows == 2 * 30
    assert dissect(oracle, "maps", stimuli, masks, ["square", "circle"]).spent.rows == 30


def test_a_silenced_unit_reads_0_and_others_stay():
    oracle, x = local(), torch.rand(2, 3, 32, 32)
    units = [Unit("act", i) for i in range(3)]
    before = oracle.observe(x, units)
    silenced = oracle.observe_silenced(x, units, [Unit("act", 1)])
    assert silenced[:, 1].tolist() == [0, 0]
    assert torch.equal(silenced[:, [0, 2]], before[:, [0, 2]])
    assert torch.equal(oracle.observe(x, units), before)


def test_an_oracle_without_interventions_is_refused():
    with pytest.raises(
        CapabilityMissing, match=r"ablate needs the capability INTERVENTION.*dissect"
    ):
        ablate(Simulated(), ["units:0"], np.zeros((4, 3, 8, 8)), [0, 1, 2, 3], layer="units")


def embedded(rows=400, concepts=10, width=32):
    draws = np.random.default_rng(1)
    texts = np.linalg.qr(draws.standard_normal((width, width)))[0][:concepts]
    kinds = draws.integers(0, concepts, rows)
    images = texts[kinds] + 0.15 * draws.standard_normal((rows, width))
    return images, texts, kinds


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_the_planted_concept_is_the_label_whatever_the_scale(similarity):
    images, texts, _ = embedded()
    fit = torch.from_numpy(images @ texts.T).float()
    noise = torch.rand(400, 10, generator=torch.Generator().manual_seed(0)) * 0.2
    rows = ((fit + noise + 1) / 4).clamp(0, 1)
    chosen = [7, 2, 4]
    names = [f"concept {c}" for c in range(10)]

    def labels(function):
        oracle = Counted(function).oracle(10)
        units = [f"scores:{u}" for u in range(3)]
        settings = {"similarity": similarity, "top": 50}
        return clip_dissect(oracle, units, rows, images, texts, names, **settings)

    found = labels(lambda x: x[:, chosen])
    assert found.labels == ("concept 7", "concept 2", "concept 4")
    scaled = labels(lambda x: 5 * x[:, chosen] - 3)
    assert scaled.scores == pytest.approx(found.scores, rel=1e-4, abs=1e-4)
    assert found.spent.rows == 401


def test_rank_reorder_is_the_formula_of_the_authors():
    activations = np.array([[4.0], [1.0], [2.0], [0.0], [3.0]])
    fits = np.array([[0.5, 0.1], [0.2, 0.4], [0.3, 0.3], [0.9, 0.9], [0.4, 0.2]])
    # The four largest are 4, 3, 2, 1. The first concept has their order, the second the reverse.
    found = SIMILARITIES["rank_reorder"](fits, activations, 4)
    pairs = [abs(a - b) ** 3 for a in range(4) for b in range(4)]
    error = (3**3 + 1 + 1 + 3**3) / 4 / np.mean(pairs)
    assert found[0] == pytest.approx([0.0, -error / 0.25**0.5])
    # Equal order, but the second concept fits the images less.
    less = SIMILARITIES["rank_reorder"](np.stack([fits[:, 1], fits[:, 1] / 4], 1), activations, 4)
    assert less[0, 1] == pytest.approx(2 * less[0, 0])


def test_embeddings_that_do_not_fit_are_refused():
    images, texts, _ = embedded(rows=20)
    oracle, rows = Counted(lambda x: x[:, :3]).oracle(10), np.zeros((20, 10))
    names = [f"concept {c}" for c in range(10)]
    two = ["scores:0", "scores:1"]
    with pytest.raises(ShapeMismatch, match="images: expected 20 embeddings"):
        clip_dissect(oracle, two, rows, images[:9], texts, names)
    with pytest.raises(ShapeMismatch, match="embeddings of the width of the images, 32, got 5"):
        clip_dissect(oracle, two, rows, images, texts[:, :5], names)
    with pytest.raises(InvalidSpec, match="top: expected 1 or more, got 0"):
        clip_dissect(oracle, two, rows, images, texts, names, top=0)
    with pytest.raises(InvalidSpec, match="images: expected finite numbers"):
        clip_dissect(oracle, two, rows, images * np.nan, texts, names)
    with pytest.raises(InvalidSpec, match="stimuli: expected one or more"):
        clip_dissect(oracle, two, rows[:0], images[:0], texts, names)
    with pytest.raises(InvalidSpec, match="two units or more"):
        clip_dissect(oracle, two[:1], rows, images, texts, names)
    with pytest.raises(InvalidSpec, match="did you mean 'soft_wpmi'"):
        clip_dissect(oracle, two, rows, images, texts, names, similarity="soft_wmpi")


def two_templates():
    first = (gabor()[0] > 0.3).float()
    second = first.T.flip(0)
    return first, second


def test_a_unit_of_two_templates_has_two_facets():
    first, second = two_templates()

    def unit(x):
        each = [(x[:, 0] * (t - t.mean())).flatten(1).sum(1) for t in (first, second)]
        return torch.stack(each, 1).amax(1, keepdim=True)

    noise = torch.rand(80, 1, 16, 16, generator=torch.Generator().manual_seed(0)) * 0.3
    planted = torch.stack([first, second])[torch.arange(40) % 2][:, None]
    natural = torch.cat([(noise[:40] + 0.7 * planted).clamp(0, 1), noise[40:]])
    model = Counted(unit)
    found = facets(model.oracle(1, 16, 16), "scores:0", natural, k=2, top=40)
    match = [
        [np.corrcoef(mean.ravel(), t.numpy().ravel())[0, 1] for t in (first, second)]
        for mean in found.means
    ]
    assert sorted(int(np.argmax(row)) for row in match) == [0, 1]
    assert min(max(row) for row in match) >= 0.8
    assert found.distances[0, 1] > 1
    assert found.spent.rows == model.rows
    with pytest.raises(InvalidSpec, match="k: expected 2 to 39"):
        facets(model.oracle(1, 16, 16), "scores:0", natural, k=50, top=40)
    with pytest.raises(InvalidSpec, match="k: expected at most the 1 different stimuli"):
        facets(model.oracle(1, 16, 16), "scores:0", natural[:1].repeat(9, 1, 1, 1), k=2)
    with pytest.raises(Unsupported, match="has no encoder"):
        facets(model.oracle(1, 16, 16), "scores:0", natural, k=2, generator=CPPN((1, 16, 16)))


def test_a_search_begins_at_each_facet():
    first, second = two_templates()
    stimuli = torch.stack([first, second])[torch.arange(20) % 2][:, None]
    noise = torch.rand(20, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    model = linear(first + second)
    found = facets(
        model.oracle(1, 16, 16), "scores:0", 0.2 * noise + 0.6 * stimuli, k=2,
        generator=Pixels((1, 16, 16)), queries=60,
    )  # fmt: skip
    assert found.spent.rows == model.rows
    assert (found.found_scores > found.activations).all()
    apart = np.corrcoef(found.found.reshape(2, -1), found.means.reshape(2, -1))[:2, 2:]
    assert apart.argmax(1).tolist() == [0, 1], "each search stays near its facet"
