from __future__ import annotations

import numpy as np
import pytest
import torch

from blackbox_am.core.interpolation import interpolate
from blackbox_am.core.rng import Stream
from blackbox_am.core.space import build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.errors import ShapeMismatch

SPACES = {
    "normal": SpaceSpec("normal", 12),
    "sphere": SpaceSpec("sphere", 12, radius=2.0),
    "box": SpaceSpec("box", 12, low=(-1.0,), high=(0.5,)),
    "codes": SpaceSpec("categorical", 12, categories=5),
    "product": SpaceSpec(
        "product", 12, parts=(SpaceSpec("sphere", 7), SpaceSpec("box", 5, low=(0.0,), high=(1.0,)))
    ),
}


@pytest.mark.parametrize("name", SPACES)
def test_leads_from_one_end_to_the_other_inside_the_space(name):
    spec = SPACES[name]
    space = build_space(spec)
    start, end = space.sample(Stream(0, "test", 0), 2)[0].numpy()
    way = interpolate(spec, start, end, 7)
    assert way.shape == (7, 12)
    assert way.dtype == start.dtype
    np.testing.assert_allclose(way[0], start, atol=1e-6)
    np.testing.assert_allclose(way[-1], end, atol=1e-6)
    inside = space.project(torch.from_numpy(way)).numpy()
    np.testing.assert_allclose(way, inside, atol=1e-5)
    assert len(np.unique(way, axis=0)) == 7


def test_the_norm_changes_evenly_and_so_does_the_angle():
    start, end = np.zeros(50), np.zeros(50)
    start[0], end[1] = 3.0, 5.0
    way = interpolate(SpaceSpec("normal", 50), start, end, 5)
    np.testing.assert_allclose(np.linalg.norm(way, axis=1), [3, 3.5, 4, 4.5, 5])
    np.testing.assert_allclose(np.arctan2(way[:, 1], way[:, 0]), np.linspace(0, np.pi / 2, 5))


@pytest.mark.parametrize("end", [[-1.0, 0.0], [2.0, 0.0], [0.0, 0.0]])
def test_no_great_circle_between_ends_on_one_line(end):
    way = interpolate(SpaceSpec("normal", 2), np.array([1.0, 0.0]), np.array(end), 3)
    np.testing.assert_allclose(way[1], (np.array([1.0, 0.0]) + end) / 2)


def test_codes_turn_one_after_another():
    spec = SpaceSpec("categorical", 6, categories=9)
    way = interpolate(spec, np.zeros(6, np.int64), np.array([0, 1, 2, 3, 4, 5]), 6)
    assert (way != 0).sum(1).tolist() == [0, 1, 2, 3, 4, 5]
    assert (np.diff(way, axis=0) != 0).sum() == 5


@pytest.mark.parametrize(
    ("start", "steps", "says"),
    [(np.zeros(3), 4, r"start: expected a latent of shape \(2,\)"), (np.zeros(2), 1, "2 or more")],
)
def test_bad_input(start, steps, says):
    with pytest.raises(ShapeMismatch, match=says):
        interpolate(SpaceSpec("normal", 2), start, np.zeros(2), steps)
