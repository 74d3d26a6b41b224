"""Maps against each other, and against random maps."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from blackbox_am.analysis.attribution import (
    compare_maps,
    finite_differences,
    occlusion,
    rise,
    saliency,
    sobol_cells,
    template_map,
)
from blackbox_am.errors import InvalidSpec, ShapeMismatch
from tests.analysis.models import Counted, planted


def shown():
    return torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(5)) * 0.3 + 0.6


def maps_of(oracle):
    return [
        occlusion(oracle, "scores:0", shown(), window=8, stride=4, fill="zero"),
        rise(oracle, "scores:0", shown(), fill="zero"),
        finite_differences(oracle, "scores:0", shown(), cells=4),
        sobol_cells(oracle, "scores:0", shown(), cells=4, fill="zero"),
        saliency(oracle, "scores:0", shown()),
    ]


def test_all_methods_find_the_object_and_beat_random_maps(tmp_path):
    model = planted()
    oracle = model.oracle(3, 32, 32)
    maps = maps_of(oracle)
    before = model.rows
    found = compare_maps(oracle, "scores:0", maps, top=1 / 16, fill="zero")
    assert found.spent.rows == model.rows - before
    assert (found.deletion_p < 0.01).all()
    assert (found.insertion_p < 0.01).all()
    assert (found.deletion_area < found.random_deletion.min()).all()
    assert found.overlap[0, 2] > 0.5
    assert np.diag(found.spearman).tolist() == [1.0] * 5
    page = found.save(tmp_path)
    assert "random maps" in page.read_text("utf-8")
    with np.load(tmp_path / "data.npz") as data:
        assert data["maps"].shape == (5, 32, 32)


def test_the_template_is_a_map_without_a_query():
    template = torch.full((3, 32, 32), 0.5)
    pattern = torch.rand(3, 12, 12, generator=torch.Generator().manual_seed(0))
    template[:, 16:28, 4:16] = pattern
    stimulus = shown()
    stimulus[:, 16:28, 4:16] = pattern
    found = template_map(template, stimulus, unit="scores:0")
    row, column = np.unravel_index(found.values.argmax(), (32, 32))
    assert 16 <= row < 28
    assert 4 <= column < 16
    assert found.spent.rows == 0
    with pytest.raises(ShapeMismatch, match="expected the stimulus's shape"):
        template_map(template[:, :16], stimulus)


def test_maps_of_different_stimuli_are_not_compared():
    oracle = planted().oracle(3, 32, 32)
    one = saliency(oracle, "scores:0", shown())
    with pytest.raises(InvalidSpec, match="two maps or more"):
        compare_maps(oracle, "scores:0", [one])
    with pytest.raises(ShapeMismatch, match="maps of different stimuli"):
        compare_maps(oracle, "scores:0", [one, replace(one, stimulus=one.stimulus * 0.5)])
    with pytest.raises(InvalidSpec, match="expected maps of scores:0, got the saliency map of x:1"):
        compare_maps(oracle, "scores:0", [one, replace(one, subject="x:1")])
    free = template_map(shown(), shown())
    assert len(compare_maps(oracle, "scores:0", [one, free], controls=1).maps) == 2


def test_a_fill_that_excites_the_unit_is_said():
    dark = Counted(lambda x: -x.flatten(1).mean(1, keepdim=True)).oracle(3, 32, 32)
    one = saliency(dark, "scores:0", shown())
    other = replace(one, values=one.values[::-1].copy())
    found = compare_maps(dark, "scores:0", [one, other], controls=3, fill="zero")
    assert "say nothing here" in found.notes[0]
