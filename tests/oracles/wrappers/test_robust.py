"""robust: which transformations, what they cost, and that they make a find robust."""

import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from blackbox_am.catalogue import Catalogue
from blackbox_am.core.metering import metering
from blackbox_am.core.types import Accounting
from blackbox_am.core.units import Unit
from blackbox_am.errors import InvalidSpec
from blackbox_am.oracles.simulated import Simulated
from blackbox_am.oracles.wrappers.measurement.robust import Robust, inverse_affine
from blackbox_am.studies.local import maximise

UNITS = [Unit("units", j) for j in range(3)]


def sampled(image: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
    moved: torch.Tensor = torch.nn.functional.grid_sample(
        image[None, None], grid[None], align_corners=False
    )
    return moved[0, 0]


def test_an_image_is_moved_and_turned_as_it_says() -> None:
    image = torch.rand(6, 8)
    moved = sampled(image, inverse_affine(6, 8, (2.0, 1.0), 1.0, 0.0))
    torch.testing.assert_close(moved[1:, 2:], image[:-1, :-2])
    assert moved[0].abs().max() < 1e-6
    square = torch.rand(7, 7)
    turned = sampled(square, inverse_affine(7, 7, (0.0, 0.0), 1.0, math.pi / 2))
    torch.testing.assert_close(turned, square.rot90(-1), atol=1e-5, rtol=0)  # clockwise
    larger = sampled(square, inverse_affine(7, 7, (0.0, 0.0), 2.0, 0.0))
    assert float(larger[3, 5]) == pytest.approx(float(square[3, 4]), abs=1e-5)


def test_the_affine_map_is_that_of_scipy() -> None:
    image = np.random.default_rng(0).random((12, 9))
    move, factor, angle = (1.3, -0.7), 0.93, 0.3
    # scipy takes output (row, column) to input: R^T (q - move) / factor about the middle.
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) / factor
    middle = np.array([5.5, 4.0])
    offset = middle - turn @ (middle + np.array([move[1], move[0]]))
    expected = ndimage.affine_transform(image, turn, offset, order=1, mode="grid-constant")
    grid = inverse_affine(12, 9, move, factor, angle)
    made = sampled(torch.tensor(image, dtype=torch.float32), grid)
    np.testing.assert_allclose(made, expected, atol=1e-5)


def test_the_answer_is_the_mean_over_the_transformations() -> None:
    images = torch.rand(4, 3, 8, 8)
    simulated = Simulated()
    robust = Robust(simulated, transforms=3, fill=0.25, seed=7)
    with metering() as meter:
        answer = robust.observe(images, UNITS)
    assert meter.total == Accounting(calls=3, rows=12)
    (grids,) = robust._grids.on(torch.device("cpu"))
    shown = []
    for grid in grids:
        moved = torch.nn.functional.grid_sample(
            images - 0.25, grid.expand(4, -1, -1, -1), align_corners=False
        )
        shown.append(simulated.observe(moved + 0.25, UNITS))
    torch.testing.assert_close(answer, torch.stack(shown).mean(0))
    assert (torch.stack(shown).std(0) > 0).all()


def test_transformations_are_fixed_by_the_seed_and_bounded() -> None:
    images = torch.rand(2, 3, 8, 8)
    first = Robust(Simulated(), seed=1).observe(images, UNITS)
    assert torch.equal(first, Robust(Simulated(), seed=1).observe(images, UNITS))
    assert not torch.equal(first, Robust(Simulated(), seed=2).observe(images, UNITS))
    plain = Simulated().observe(images, UNITS)
    still = Robust(Simulated(), 2, jitter=0, scale=0, rotate=0).observe(images, UNITS)
    torch.testing.assert_close(still, plain)
    moved = Robust(Simulated((3, 16, 16)), 200, jitter=0.125, scale=0, rotate=0)
    (grids,) = moved._grids.on(torch.device("cpu"))
    shifts = (grids - Robust(moved.inner, 1, 0, 0, 0)._grids.on(torch.device("cpu"))[0]) * 8
    assert 1.9 < shifts.abs().max() <= 2.0 + 1e-5


def test_grey_comes_into_view_at_the_edges() -> None:
    seen = []

    class Watched(Simulated):
        def observe(self, stimuli, units):
            seen.append(stimuli)
            return super().observe(stimuli, units)

    Robust(Watched(), 1, jitter=0.5, scale=0, rotate=0, seed=3).observe(
        torch.zeros(1, 3, 8, 8), UNITS
    )
    assert seen[0].max() == 0.5
    assert seen[0].min() == 0.0


def test_bad_numbers_are_said() -> None:
    for parameters, field in (
        ({"transforms": 0}, "transforms"),
        ({"jitter": 1.0}, "jitter"),
        ({"scale": -0.1}, "scale"),
        ({"rotate": 181}, "rotate"),
        ({"fill": 2}, "fill"),
    ):
        with pytest.raises(InvalidSpec, match=field):
            Robust(Simulated(), **parameters)
    with pytest.raises(InvalidSpec, match="a model of images"):
        Robust(Simulated((5,))).describe()


@pytest.mark.slow
def test_what_is_found_with_it_is_more_robust() -> None:
    """A search of the shipped network's pixels, judged on 64 transformations not searched on."""
    network = Catalogue.default().oracle("cifar_cnn")
    unit = [Unit("head", 3)]
    activations = {}
    for name, oracle in (("plain", network), ("robust", Robust(network, transforms=4))):
        result = maximise(
            oracle=oracle,
            generator="pixels_32",
            targets=["head:3"],
            optimizer="sep_cma",
            queries_per_target=300,
            device="cpu",
        )
        found = torch.as_tensor(result.best[0].stimulus, dtype=torch.float32)[None]
        judge = Robust(network, transforms=64, seed=1)
        activations[name] = (
            float(network.observe(found, unit)),
            float(judge.observe(found, unit)),
        )
    assert activations["robust"][1] > activations["plain"][1] + 0.5, activations
    assert activations["robust"][0] < activations["plain"][0], "it gives up the fragile part"
