"""Angles, clusters and components, with planted directions."""

import numpy as np
import pytest
import torch

from blackbox_am.analysis.geometry import compare_models, components, geometry
from blackbox_am.analysis.geometry.measures import random_cosine
from blackbox_am.errors import InvalidSpec
from tests.analysis.models import Counted

SCALE = 8.0


def layer(width: int):
    return Counted(lambda x: (x - 0.5) * SCALE)


def rows_of(directions: np.ndarray, noise: float, each: int = 20, seed: int = 0):
    draws = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(directions)), each)
    values = directions[labels] + noise * draws.standard_normal((len(labels), directions.shape[1]))
    return (0.5 + values / SCALE).astype(np.float32), labels


def random_directions(count: int, dimension: int, seed: int = 1) -> np.ndarray:
    found = np.random.default_rng(seed).standard_normal((count, dimension))
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def test_the_closed_form_of_random_directions():
    assert random_cosine(8) == pytest.approx(0.2910, abs=1e-4)
    drawn = random_directions(2000, 8)
    assert np.abs((drawn[:1000] * drawn[1000:]).sum(1)).mean() == pytest.approx(0.291, abs=0.01)


def test_orthogonal_classes_and_packed_classes_differ_in_their_cosines_alone():
    stimuli, labels = rows_of(np.eye(20), 0.05)
    model = layer(20)
    apart = geometry(model.oracle(20), "scores", stimuli, labels, tsne=False)
    assert apart.mean_cosine == pytest.approx(0, abs=0.02)
    assert apart.spent.rows == model.rows
    stimuli, labels = rows_of(random_directions(20, 8), 0.05)
    packed = geometry(layer(8).oracle(8), "scores", stimuli, labels, tsne=False)
    assert packed.mean_cosine == pytest.approx(random_cosine(8), abs=0.03)
    assert "not superposition" in packed.page()


def test_noise_moves_silhouette_and_davies_bouldin():
    directions = random_directions(20, 8)
    found = []
    for noise in (0.05, 0.2):
        stimuli, labels = rows_of(directions, noise)
        found.append(geometry(layer(8).oracle(8), "scores", stimuli, labels, tsne=False))
    clean, noisy = found
    assert clean.silhouette > 0.7
    assert noisy.silhouette < 0.4
    assert clean.davies_bouldin < 0.5
    assert noisy.davies_bouldin > 1.2
    assert clean.mean_cosine == pytest.approx(noisy.mean_cosine, abs=0.03)


def test_a_map_is_drawn(tmp_path):
    stimuli, labels = rows_of(np.eye(4), 0.1)
    found = geometry(layer(4).oracle(4), "scores", stimuli, labels)
    assert found.places.shape == (80, 2)
    again = geometry(layer(4).oracle(4), "scores", stimuli, labels)
    assert np.array_equal(found.places, again.places)
    assert found.save(tmp_path).is_file()


def test_identical_models_do_not_differ_and_others_do():
    directions = random_directions(6, 8)
    stimuli, labels = rows_of(directions, 0.1)
    same = compare_models(
        layer(8).oracle(8), layer(8).oracle(8), "scores", stimuli, labels, resamples=40
    )
    assert same.differs == (False, False, False)
    assert "No measure differs" in same.lead()[0]
    noisy = Counted(lambda x: (x - 0.5) * SCALE + 2 * (x[:, :1] * 1e4).sin())
    other = compare_models(
        layer(8).oracle(8), noisy.oracle(8), "scores", stimuli, labels, resamples=40
    )
    assert other.differs[1]
    assert other.spent.rows == 2 * 121


def test_intervals_of_few_stimuli_have_the_difference_inside():
    draws = np.random.default_rng(1)
    labels = np.repeat(np.arange(6), 5)
    means = draws.standard_normal((6, 16))[labels]
    tables = [
        torch.from_numpy(means + noise * draws.standard_normal(means.shape)) for noise in (0.2, 0.4)
    ]
    first, second = (
        Counted(lambda x, t=table: t[(x[:, 0] * 29).round().long()]).oracle(1) for table in tables
    )
    rows = np.linspace(0, 1, 30)[:, None]
    found = compare_models(first, second, "scores", rows, labels, resamples=100)
    difference = found.second - found.first
    assert ((found.low < difference) & (difference < found.high)).all()


def test_two_planted_components_explain_all():
    draws = np.random.default_rng(0)
    parts = random_directions(2, 10)
    values = draws.standard_normal((200, 2)) @ parts
    stimuli = (0.5 + values / 16).clip(0, 1).astype(np.float32)
    found = components(layer(10).oracle(10), "scores", stimuli, k=2)
    assert found.explained[1] > 0.99
    inside = found.directions @ np.linalg.qr(parts.T)[0]
    assert np.linalg.norm(inside, axis=1) == pytest.approx([1, 1], abs=1e-3)
    assert found.objective(1).vector == tuple(found.directions[1].tolist())
    with pytest.raises(InvalidSpec, match="component: expected 0 to 1, got 2"):
        found.objective(2)
    with pytest.raises(InvalidSpec, match="nmf: expected activations of 0 or more"):
        components(layer(10).oracle(10), "scores", stimuli, k=2, kind="nmf")


def test_nmf_of_two_groups():
    draws = np.random.default_rng(0)
    parts = np.zeros((2, 6))
    parts[0, :3] = parts[1, 3:] = 1
    stimuli = (draws.random((60, 2)) @ parts / 2).astype(np.float32)
    found = components(Counted(lambda x: x).oracle(6), "scores", stimuli, k=2, kind="nmf")
    assert found.explained[1] > 0.99


def test_equal_activations_have_no_geometry():
    stimuli, labels = rows_of(np.eye(4), 0.1)
    flat = Counted(lambda x: torch.ones(len(x), 3)).oracle(4)
    for measured in (
        lambda: geometry(flat, "scores", stimuli, labels),
        lambda: components(flat, "scores", stimuli, k=2),
        lambda: compare_models(flat, flat, "scores", stimuli, labels),
    ):
        with pytest.raises(InvalidSpec, match="all 80 stimuli have the same activations"):
            measured()


def test_what_is_wrong_is_said():
    stimuli, labels = rows_of(np.eye(4), 0.1)
    oracle = layer(4).oracle(4)
    with pytest.raises(InvalidSpec, match="one for each of 80 stimuli"):
        geometry(oracle, "scores", stimuli, labels[:7])
    with pytest.raises(InvalidSpec, match="two classes or more"):
        geometry(oracle, "scores", stimuli, labels * 0)
    with pytest.raises(InvalidSpec, match="class 9 has one stimulus"):
        geometry(oracle, "scores", stimuli, np.where(np.arange(80) == 3, 9, labels))
