"""Expressions and penalties as what a comparison searches."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from blackbox_am.comparisons.local import compare
from blackbox_am.comparisons.problem import spec_of
from blackbox_am.comparisons.targets import layer_of, objectives_of, spelled
from blackbox_am.core.measure import Rendered
from blackbox_am.core.units import Unit
from blackbox_am.errors import InvalidSpec
from blackbox_am.generators.parametric.pixels import Pixels
from blackbox_am.oracles.simulated import Simulated
from blackbox_am.plugins import measure

SHAPE = (3, 6, 6)
IMAGES = np.random.default_rng(2).integers(0, 256, (12, *SHAPE), np.uint8)
DIFFERENCE = "units:0 - 0.5*units:3"
GOOD = {"oracle": "toy", "generator": "pixels"}


def compared(oracle, **fields):
    given = {"units": [DIFFERENCE, "units:4"], "budget": 40, "seeds": 1, "baseline": IMAGES}
    return compare(
        oracle=oracle,
        generator=Pixels(SHAPE),
        methods=["adam", "sep_cma"],
        random_search=False,
        **{**given, **fields},
    )


def activations(oracle, stimulus):
    units = [Unit.parse(f"units:{k}") for k in (0, 3, 4)]
    return oracle.observe(torch.from_numpy(stimulus)[None], units)[0].double().tolist()


def test_an_expression_is_searched_like_a_unit():
    oracle = Simulated(SHAPE, gradients=True, batch_size=16)
    result = compared(oracle)
    difference, unit = result.units
    assert (difference.unit, difference.layer) == (DIFFERENCE, "units")
    assert unit.unit == "units:4"
    for run in result.runs:
        first, second, third = activations(oracle, run.stimulus)
        wanted = first - 0.5 * second if run.unit == DIFFERENCE else third
        assert run.score == pytest.approx(wanted)
        assert run.robust.shape == (64,)
        assert run.score > run.robust.min()
    of_image = activations(oracle, difference.natural_image)
    assert difference.natural.max() == pytest.approx(of_image[0] - 0.5 * of_image[1])


def test_penalties_belong_to_every_score():
    oracle = Simulated(SHAPE, gradients=True, batch_size=16)
    free = compared(oracle, units="units:4")
    held = compared(oracle, units="units:4", penalties={"stimulus.tv": 3.0})
    roughness = measure("stimulus.tv")

    def tv(run):
        shown = torch.from_numpy(run.stimulus)[None]
        return float(roughness.measure("stimulus.tv", Rendered(torch.zeros(1, 0), shown)))

    for run, other in zip(held.runs, free.runs, strict=True):
        assert run.score == pytest.approx(activations(oracle, run.stimulus)[2] - 3 * tv(run))
        assert tv(run) < tv(other)
    assert any("less 3*stimulus.tv" in part.text for part in held.protocol)
    assert not any("stimulus.tv" in part.text for part in free.protocol)


def test_a_penalty_on_latents_leaves_robust_scores_out():
    result = compared(
        Simulated(SHAPE, gradients=True, batch_size=16),
        units="units:4",
        penalties={"latent.norm": 0.01},
        baseline=None,
    )
    assert all(run.robust.size == 0 and np.isfinite(run.score) for run in result.runs)
    assert not any("missing" in warning for warning in result.warnings)


@pytest.mark.parametrize(
    ("target", "layer"),
    [
        ("head:3", "head"),
        ("head:3 - 0.5*head:5", "head"),
        ("head:3 * layer1:2@center", "head + layer1"),
        ("margin(head:0, head:1, label=1) - 2*stimulus.tv", "head"),
        ("-stimulus.tv", "stimulus"),
    ],
)
def test_the_layer_of_a_target(target, layer):
    assert layer_of(target) == layer


def test_addresses_are_shortened_and_expressions_kept():
    assert spelled("head:3!mean") == "head:3"
    assert spelled(" head:3 - head:5 ") == "head:3 - head:5"
    (penalised,) = objectives_of(["head:3"], {"stimulus.tv": 2.0})
    assert str(penalised) == "head:3 - 2*stimulus.tv"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"units": ["head:3 -"]}, "units: expected a unit such as head:3"),
        ({"units": ["head:1 - head:2", "head:1  - head:2"]}, "occurs more than once"),
        (
            {"units": ["head:1 - head:2"], "tuning_units": ["head:2@center"]},
            "got head:1 - head:2 in both",
        ),
        ({"units": ["head:1"], "penalties": {"head:2": 1.0}}, "expected a measure"),
        ({"units": ["head:1"], "penalties": {"stimulus.tv": float("nan")}}, "a finite weight"),
        ({"units": ["head:1"], "penalties": {"stimulus.tv": "2"}}, "penalties"),
    ],
)
def test_wrong_targets(change, said):
    with pytest.raises(InvalidSpec) as refused:
        spec_of({**GOOD, **change})
    assert said in refused.value.message
