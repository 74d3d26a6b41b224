from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from blackbox_am import plugins
from blackbox_am.core.rng import Stream
from blackbox_am.errors import InvalidSpec, NotFound
from blackbox_am.generators._series import roughness
from blackbox_am.generators.data.series import Series, cosines, cubic_splines


def _random(generator: Series, rows: int = 4000) -> torch.Tensor:
    return generator.render(generator.space.sample(Stream(1, "test", 0), rows)[0])


def _training(rows: int = 300, length: int = 60) -> np.ndarray:
    """Autoregressive series of two channels, one wilder than the other."""
    random = np.random.default_rng(0)
    noise = random.normal(size=(rows, 2, length + 100))
    series = np.zeros_like(noise)
    for step in range(1, length + 100):
        series[..., step] = 0.9 * series[..., step - 1] + noise[..., step]
    scaled = 0.45 + series[..., 100:] * np.array([0.02, 0.03])[:, None]
    return scaled.clip(0, 1).astype(np.float32)


@pytest.mark.parametrize("basis", ["samples", "dct", "spline"])
@pytest.mark.parametrize("decay", [0.0, 1.5])
def test_random_series_have_the_mean_and_deviation_asked_for(basis: Any, decay: float) -> None:
    generator = Series(2, 50, basis, decay=decay, mean=0.4, deviation=0.05)
    stimuli = _random(generator)
    assert stimuli.shape == (4000, 2, 50)
    assert float(stimuli.mean()) == pytest.approx(0.4, abs=0.005)
    assert float((stimuli - 0.4).square().mean().sqrt()) == pytest.approx(0.05, rel=0.03)


@pytest.mark.parametrize("basis", ["samples", "dct", "spline"])
def test_more_decay_is_smoother(basis: Any) -> None:
    rough = [
        float(roughness(_random(Series(1, 50, basis, decay=decay, deviation=0.05), 500)))
        for decay in (0.0, 0.5, 1.0, 2.0)
    ]
    assert rough == sorted(rough, reverse=True)
    assert rough[-1] < rough[0] / 4


def test_free_samples_are_the_coordinates_themselves() -> None:
    latents = torch.randn(3, 20)
    made = Series(1, 20, "samples", decay=0, deviation=0.1).render(latents)
    torch.testing.assert_close(made[:, 0], 0.5 + 0.1 * latents)


def test_a_coordinate_of_smoothed_samples_is_a_place_in_time() -> None:
    generator = Series(1, 41, "samples", decay=1.0)
    bump = generator.render(torch.eye(41)[20:21])[0, 0]
    assert int(bump.argmax()) == 20
    torch.testing.assert_close(bump, bump.flip(0))


def test_the_cosines_are_orthonormal_and_the_lowest_ones_are_all_there_is() -> None:
    waves = cosines(16)
    torch.testing.assert_close(waves.T @ waves, torch.eye(16, dtype=torch.float64))
    series = _random(Series(1, 16, "dct", coefficients=5, deviation=0.03), 10)[:, 0] - 0.5
    spectrum = series.double() @ waves
    assert spectrum[:, 5:].abs().max() < 1e-6
    assert spectrum[:, :5].abs().max() > 1e-2


def test_splines_are_those_of_scipy() -> None:
    interpolate = pytest.importorskip("scipy.interpolate")
    length, count = 37, 9
    knots = np.arange(-3, count + 1)
    place = np.linspace(0, count - 3, length)
    expected = interpolate.BSpline.design_matrix(place, knots, 3).toarray()
    np.testing.assert_allclose(cubic_splines(length, count), expected, atol=1e-12)


@pytest.mark.parametrize("basis", ["samples", "dct", "spline"])
def test_roughness_matches_the_training_series(basis: Any, tmp_path: Path) -> None:
    training = _training()
    np.savez(tmp_path / "train.npz", x=training)
    count = None if basis == "samples" else 60
    generator = Series(2, 60, basis, count, match=str(tmp_path / "train.npz"))
    made = _random(generator, 3000)
    wanted = float(roughness(torch.from_numpy(training)))
    assert float(roughness(made)) == pytest.approx(wanted, rel=0.03)
    assert 0 < generator.chosen_decay < 8
    std, mean = torch.std_mean(made, dim=(0, 2))
    np.testing.assert_allclose(mean, training.mean((0, 2)), atol=0.003)
    np.testing.assert_allclose(std, training.std((0, 2)), rtol=0.05)


def test_series_that_no_decay_can_match() -> None:
    saw = np.full((2, 1, 32), 0.4, np.float32)
    saw[..., ::2] = 0.6
    with pytest.raises(InvalidSpec, match=r"make .* to .*; give more coefficients"):
        _ = Series(1, 32, coefficients=8, match=saw).chosen_decay
    with pytest.raises(InvalidSpec, match="constant"):
        Series(1, 32, match=np.full((2, 1, 32), 0.5)).render(torch.zeros(1, 32))
    with pytest.raises(InvalidSpec, match=r"expected series of shape \(2, 32\), got \(1, 32\)"):
        _ = Series(2, 32, match=saw).chosen_decay
    with pytest.raises(NotFound, match="no file"):
        _ = Series(match="absent.npz").chosen_decay


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"channels": 0}, "channels: expected 1 or more, got 0"),
        ({"length": 1}, "length: expected 2 or more"),
        ({"basis": "spline", "length": 3}, "4 or more for splines"),
        ({"basis": "spline", "coefficients": 3}, "for spline 4 to 128"),
        ({"coefficients": 129}, "for dct 1 to 128"),
        ({"basis": "samples", "coefficients": 4}, "for samples 128"),
        ({"decay": -1.0}, "decay: expected 0 to 8"),
        ({"mean": 2.0}, "mean"),
        ({"deviation": 0.0}, "deviation"),
        ({"basis": "wavelet"}, "basis|Invalid enum"),
    ],
)
def test_bad_parameters(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSpec, match=message):
        plugins.generators.build("series", parameters)
