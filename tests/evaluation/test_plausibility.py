"""Strangeness of stimuli: distances to natural images in feature space."""

import numpy as np
import torch

from blackbox_am.evaluation import plausibility
from blackbox_am.evaluation.kid import features
from blackbox_am.evaluation.plausibility import nearest, strangeness
from blackbox_am.zoo import loading


def test_natural_images_are_less_strange_than_noise():
    images = torch.from_numpy(loading.probe_images()[0]).permute(0, 3, 1, 2).float() / 255
    noise = torch.rand(20, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    kept = torch.arange(200) % 10 != 0
    natural = features(images)
    assert strangeness(natural[~kept], natural[kept]).median() < 1.1
    assert strangeness(features(noise), natural).median() > 1.2
    assert strangeness(natural[:5], natural).max() < 1e-5  # they are among them


def test_the_unit_is_the_median_distance_of_images_that_are_held_out():
    natural = torch.tensor([[0.0], [1.0], [3.0], [6.0]])  # held out: 1, 1, 2, 3
    assert strangeness(torch.tensor([[9.0], [1.0]]), natural).tolist() == [2.0, 0.0]


def test_distances_in_blocks_are_those_of_all_pairs(monkeypatch):
    draw = torch.Generator().manual_seed(0)
    rows, reference = torch.randn(11, 3, generator=draw), torch.randn(7, 3, generator=draw)
    monkeypatch.setattr(plausibility, "BLOCK", 4)
    pairs = np.linalg.norm(rows.numpy()[:, None] - reference.numpy()[None], axis=2)
    np.testing.assert_allclose(nearest(rows, reference), pairs.min(1), rtol=1e-5)
    among = np.linalg.norm(rows.numpy()[:, None] - rows.numpy()[None], axis=2)
    np.fill_diagonal(among, np.inf)
    np.testing.assert_allclose(nearest(rows, rows, held_out=True), among.min(1), rtol=1e-5)


def test_rows_that_are_not_finite_are_left_out():
    natural = torch.tensor([[0.0], [1.0], [torch.nan], [3.0], [torch.inf], [6.0]])
    found = strangeness(torch.tensor([[9.0], [torch.nan], [1.0]]), natural)
    assert found[[0, 2]].tolist() == [2.0, 0.0]
    assert found[1].isnan()


def test_without_a_unit_there_is_no_number():
    rows = torch.ones(3, 2)
    assert strangeness(rows, rows[:1]).isnan().all()
    assert strangeness(rows + 1, rows).isnan().all()  # natural images that are all equal
