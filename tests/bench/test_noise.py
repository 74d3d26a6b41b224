"""`bench noise`, and units whose natural maximum is not above 0."""

import json
import math

import numpy as np
import pytest
import torch

from blackbox_am.bench import noise, problems, searching
from blackbox_am.catalogue import Catalogue
from blackbox_am.core.units import Unit
from blackbox_am.errors import InvalidInput


@pytest.mark.slow
def test_the_table_has_both_searches(tmp_path):
    path = tmp_path / "noise.json"
    noise.noise(["cnn+vae"], ["snes"], "0.5", 2, 1, 60, 0.2, None, path)
    lines = json.loads(path.read_text())
    found = {line["name"].partition(": ")[2]: line for line in lines}
    told = found["reported / true"]
    assert told["baseline"] > 1, "the luckiest row"
    assert abs(told["value"] - 1) < abs(told["baseline"] - 1)
    assert 0 <= found["within 2 standard errors"]["value"] <= 1
    assert math.isfinite(found["true"]["ratio"])


def silent() -> problems.Problem:
    """A unit whose largest activation over the natural images is below 0, and one above."""
    catalogue = Catalogue.default()
    units = (Unit.parse("layer2.0.conv1:7@center"), Unit.parse("head:3"))
    images = problems.problem("cnn+vae", 1, None).images[:40]
    return problems.Problem(
        "cnn+pca", catalogue.oracle("cifar_cnn"), catalogue.generator("cifar_pca"), units, images
    )


def test_activations_are_standardised_if_a_natural_maximum_is_not_above_zero():
    problem = silent()
    natural = problem.natural
    assert problem.has_ratios == bool((natural.amax(0) > 0).all())
    shifted = problems.Problem(
        problem.name, problem.oracle, problem.generator, problem.units, problem.images
    )
    shifted.__dict__["natural"] = natural - natural.amax(0)
    assert not shifted.has_ratios
    assert "standardised" in shifted.scale
    found = shifted.relative(shifted.natural)
    assert torch.allclose(found.mean(0), torch.zeros(2, dtype=torch.float64), atol=1e-9)
    assert torch.allclose(found.std(0), torch.ones(2, dtype=torch.float64))
    result = searching.search(shifted, 1, "random", {}, queries=20, noise="0")
    assert all(np.isfinite(best.score) for best in result.best)
    with pytest.raises(InvalidInput, match="relative to the natural maximum"):
        searching.search(shifted, 1, "random", {}, queries=20, noise="0.5")
