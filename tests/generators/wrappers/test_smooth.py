"""Exponential smoothing of series, and the choice of its weight."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from blackbox_am.core.rng import Stream
from blackbox_am.errors import InvalidSpec, NotFound
from blackbox_am.generators.data.series import Series
from blackbox_am.generators.parametric.pixels import Pixels
from blackbox_am.generators.wrappers.smooth import Smooth
from blackbox_am.zoo.cbf import cylinder_bell_funnel

TRAINING = cylinder_bell_funnel(120, seed=3)[0]
WHITE = Series(basis="samples", decay=0.0, mean=0.377, deviation=0.169)


def roughness(series: np.ndarray) -> float:
    return float(np.square(np.diff(series.astype(np.float64))).mean())


@pytest.mark.parametrize("alpha", [0.3, 1.0])
def test_each_value_is_mixed_with_the_last(alpha: float) -> None:
    series = torch.rand(2, 3, 20)
    made = Smooth(Pixels((3, 20)), alpha).render(series.flatten(1))
    expected = series.clone()
    for step in range(1, 20):
        expected[..., step] = alpha * series[..., step] + (1 - alpha) * expected[..., step - 1]
    torch.testing.assert_close(made, expected)


def test_a_constant_series_stays() -> None:
    made = Smooth(Pixels((1, 30)), 0.2).render(torch.ones(1, 30))
    torch.testing.assert_close(made, torch.ones(1, 1, 30))
    assert made.max() <= 1


def test_the_weight_gives_the_roughness_of_the_training_series() -> None:
    smooth = Smooth(WHITE, match=TRAINING)
    assert 0.3 < smooth.chosen_alpha < 0.8
    drawn = smooth.render(smooth.space.sample(Stream(7, "test", 0), 2000)[0]).numpy()
    assert roughness(drawn) == pytest.approx(roughness(TRAINING), rel=0.02)


def test_it_is_read_from_a_file_that_belongs_to_its_identity(tmp_path) -> None:
    file = tmp_path / "series.npz"
    np.savez(file, TRAINING)
    from_file = Smooth(WHITE, match=str(file))
    assert from_file.chosen_alpha == Smooth(WHITE, match=TRAINING).chosen_alpha
    before = from_file.fingerprint().digest
    np.savez(file, TRAINING[:60])
    assert Smooth(WHITE, match=str(file)).fingerprint().digest != before
    missing = Smooth(WHITE, match=str(tmp_path / "other.npz"))
    with pytest.raises(NotFound, match="no file"):
        missing.render(torch.zeros(1, 128))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "one of the two"),
        ({"alpha": 0.5, "match": TRAINING}, "one of the two"),
        ({"alpha": 0.0}, "above 0, at most 1"),
        ({"alpha": 1.5}, "above 0, at most 1"),
    ],
)
def test_wrong_weights(fields: dict, said: str) -> None:
    with pytest.raises(InvalidSpec, match=said):
        Smooth(WHITE, **fields)


def test_series_that_do_not_fit() -> None:
    with pytest.raises(InvalidSpec, match="a generator of series"):
        Smooth(Pixels((3, 4, 4)), 0.5).stimulus_shape  # noqa: B018
    with pytest.raises(InvalidSpec, match=r"expected series of shape \(1, 128\)"):
        Smooth(WHITE, match=TRAINING[..., :64]).chosen_alpha  # noqa: B018
    with pytest.raises(InvalidSpec, match="use a rougher generator"):
        Smooth(Series(decay=2.0), match=np.random.default_rng(0).random((9, 1, 128))).chosen_alpha  # noqa: B018
