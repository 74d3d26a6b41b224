"""Occlusion, RISE, finite differences and Sobol cells, where the right answer is known."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from blackbox_am.analysis.attribution import (
    finite_differences,
    occlusion,
    rise,
    sobol_cells,
)
from blackbox_am.analysis.attribution.rise import random_masks
from blackbox_am.analysis.methods import BLACK_BOX, attribution, checked_settings
from blackbox_am.errors import InvalidSpec, OracleFailed, ShapeMismatch, UnknownUnit
from tests.analysis.models import Counted, blocks_of, gabor, linear, planted
from tests.oracles.transports import KINDS, TRANSPORTS

OTHERS = ["onnx", "http, numbers", "remote", "inference_protocol", "subprocess, frames", "snn"]


def image(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(3)) * 0.5 + 0.25


def test_finite_differences_of_a_linear_unit_are_its_weights_in_blocks():
    weights = gabor(3)
    found = finite_differences(linear(weights).oracle(3, 16, 16), "scores:0", image(3, 16, 16))
    blocks = blocks_of(weights, 2).numpy().ravel()
    slopes = found.more["slopes"]
    assert slopes[0] == pytest.approx(blocks, abs=1e-4)
    assert slopes[1] == pytest.approx(blocks, abs=1e-4)
    assert spearmanr(slopes[0], blocks)[0] >= 0.99
    assert found.notes == ()


def test_two_steps_expose_a_bend():
    bent = Counted(lambda x: ((x - 0.5) ** 3).flatten(1).sum(1, keepdim=True))
    found = finite_differences(bent.oracle(1, 8, 8), "scores:0", np.full((1, 8, 8), 0.5), step=0.1)
    assert "not linear" in found.notes[0]


def test_values_at_the_edge_are_named():
    found = finite_differences(
        linear(gabor()).oracle(1, 16, 16), "scores:0", np.zeros((1, 16, 16), np.float32), cells=4
    )
    assert "16 of 16 cells have values nearer to 0 or 1" in found.notes[0]


def test_the_standard_error_shrinks_with_the_root_of_the_repeats():
    noise = torch.Generator().manual_seed(0)
    noisy = Counted(
        lambda x: x.flatten(1).sum(1, keepdim=True) + torch.randn(len(x), 1, generator=noise)
    )
    errors = [
        finite_differences(
            noisy.oracle(1, 16, 16), "scores:0", image(1, 16, 16), repeats=repeats
        ).more["standard_errors"][0].mean()
        for repeats in (8, 32)
    ]  # fmt: skip
    assert errors[0] / errors[1] == pytest.approx(2.0, rel=0.2)


@pytest.mark.parametrize("method", BLACK_BOX)
def test_the_most_important_place_is_in_the_planted_object(method):
    settings = {
        "occlusion": {"window": 4},
        "sobol_cells": {"cells": 4},
        "rise": {"fill": "zero"},
    }.get(method, {})
    model = planted()
    found = attribution(method)(model.oracle(3, 32, 32), "scores:0", image(3, 32, 32), **settings)
    row, column = np.unravel_index(found.values.argmax(), (32, 32))
    assert 8 <= row < 16
    assert 16 <= column < 24
    assert found.spent.rows == model.rows
    assert found.spent.calls == model.calls


def test_sobol_cells_rank_exactly_the_three_planted_cells():
    share = torch.tensor([0.8, 0.2, 0.4])
    cells = ((0, 0), (3, 5), (6, 2))

    def three(x):
        return sum(
            w * x[:, :, 4 * i : 4 * i + 4, 4 * j : 4 * j + 4].flatten(1).mean(1, keepdim=True)
            for w, (i, j) in zip(share, cells, strict=True)
        )

    found = sobol_cells(
        Counted(three).oracle(1, 32, 32), "scores:0", np.full((1, 32, 32), 0.9), fill="zero"
    )
    order = np.argsort(-found.more["ST"])
    assert order[:3].tolist() == [0, 6 * 8 + 2, 3 * 8 + 5]
    assert found.more["ST"][order[3]] < 0.01
    assert any("widest interval" in note for note in found.notes)


def test_rise_is_the_covariance_over_the_variance_of_the_masks():
    model = planted()
    found = rise(model.oracle(3, 32, 32), "scores:0", image(3, 32, 32), masks=150, fill="zero")
    drawn = random_masks(150, (32, 32), 7, 0.5, 0).double().numpy().reshape(150, -1)
    scores = found.more["scores"] - found.more["scores"].mean()
    centred = drawn - drawn.mean(0)
    expected = scores @ centred / (centred**2).sum(0)
    assert found.values.ravel() == pytest.approx(expected, rel=1e-6)


def test_a_series_and_a_table_row_have_places_too():
    kernel = torch.zeros(40)
    kernel[20:24] = 1
    series = linear(kernel[None])
    for method in (occlusion, rise):
        found = method(series.oracle(1, 40), "scores:0", np.full((1, 40), 0.7), fill="zero")
        assert found.values.shape == (40,)
        assert 20 <= found.values.argmax() < 24
    row = linear(torch.tensor([0.1, 2.0, 0.0, 0.3]))
    found = occlusion(row.oracle(4), "scores:0", np.full(4, 0.5), fill="zero")
    assert found.values == pytest.approx([0.05, 1.0, 0.0, 0.15])


@pytest.mark.parametrize("transport", OTHERS)
@pytest.mark.parametrize("method", BLACK_BOX)
def test_every_method_runs_on_every_kind_of_oracle(method, transport, tmp_path: Path):
    settings = {
        "occlusion": {"window": 1, "fill": "zero"},
        "rise": {"masks": 60, "cells": 5, "fill": "zero"},
        "finite_differences": {"cells": 5},
        "sobol_cells": {"cells": 5, "samples": 4, "fill": "zero"},
    }[method]
    way, shape = TRANSPORTS[transport], KINDS["grey"]
    with way.opened(shape, tmp_path) as oracle:
        found = attribution(method)(oracle, f"{way.layer}:7", np.full(shape, 0.8), **settings)
    if transport != "snn":  # its answer is a rate of spikes
        assert np.unravel_index(found.values.argmax(), (4, 5)) == (1, 2)
    assert found.spent.rows > 0
    assert found.page().startswith("<!doctype html>")


def test_equal_seeds_give_equal_maps():
    maps = [
        rise(planted().oracle(3, 32, 32), "scores:0", image(3, 32, 32), masks=40, seed=seed).values
        for seed in (1, 1, 2)
    ]
    assert np.array_equal(maps[0], maps[1])
    assert not np.array_equal(maps[0], maps[2])


def test_what_is_wrong_is_said():
    oracle = planted().oracle(3, 32, 32)
    good = image(3, 32, 32)
    with pytest.raises(ShapeMismatch, match=r"expected shape \(N, 3, 32, 32\)"):
        occlusion(oracle, "scores:0", image(3, 16, 16))
    with pytest.raises(InvalidSpec, match=r"divide by 255"):
        occlusion(oracle, "scores:0", good * 255)
    with pytest.raises(UnknownUnit, match="units 0 to 0"):
        occlusion(oracle, "scores:3", good)
    with pytest.raises(InvalidSpec, match="stride: expected 1 to the window's 4"):
        occlusion(oracle, "scores:0", good, window=4, stride=5)
    with pytest.raises(InvalidSpec, match="samples: expected a power of 2"):
        sobol_cells(oracle, "scores:0", good, samples=33)
    with pytest.raises(ShapeMismatch, match=r"labels of shape \(32, 32\)"):
        finite_differences(oracle, "scores:0", good, cells=np.zeros((8, 8), int))
    with pytest.raises(InvalidSpec, match="fill: expected mean, grey, zero, blur"):
        occlusion(oracle, "scores:0", good, fill="black")
    broken = Counted(lambda x: x.flatten(1).sum(1, keepdim=True) * torch.nan)
    with pytest.raises(OracleFailed, match="are nan or infinite"):
        occlusion(broken.oracle(3, 32, 32), "scores:0", good)


def test_settings_are_checked():
    assert checked_settings(occlusion, "occlusion", {"window": 4}) == {"window": 4}
    with pytest.raises(InvalidSpec, match="has no parameter 'windows'; did you mean 'window'"):
        checked_settings(occlusion, "occlusion", {"windows": 4})
    with pytest.raises(InvalidSpec, match="window: expected a whole number, got 'big'"):
        checked_settings(occlusion, "occlusion", {"window": "big"})
    with pytest.raises(InvalidSpec, match="masks: expected a whole number"):
        checked_settings(rise, "rise", {"masks": 3.5})
