"""Each transformation changes a stimulus as it says."""

import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from blackbox_am.core.chain import Chain
from blackbox_am.core.rng import position_seed
from blackbox_am.core.transform import Draw, affine, resampling
from blackbox_am.transforms.blur import Blur
from blackbox_am.transforms.colour import Colour
from blackbox_am.transforms.crop import Crop
from blackbox_am.transforms.flip import Flip
from blackbox_am.transforms.jitter import Jitter
from blackbox_am.transforms.noise import Noise
from blackbox_am.transforms.pad import Pad
from blackbox_am.transforms.roll import Roll
from blackbox_am.transforms.rotate import Rotate
from blackbox_am.transforms.scale import Scale


def draw(height: int, width: int, seed: int = 0, generation: int = 0) -> Draw:
    return Draw(1, height, width, torch.Generator().manual_seed(seed), generation)


def image(height: int, width: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(7)
    return torch.rand(1, 1, height, width, generator=generator, dtype=torch.float64)


def test_a_point_is_moved_turned_and_scaled_about_the_middle() -> None:
    picture = image(6, 8)
    moved = resampling(affine(move=(2.0, 1.0)), 6, 8, 0.0)(picture)
    torch.testing.assert_close(moved[..., 1:, 2:], picture[..., :-1, :-2])
    assert moved[..., 0, :].abs().max() < 1e-12
    square = image(7, 7)
    turned = resampling(affine(angle=math.pi / 2), 7, 7, 0.0)(square)
    torch.testing.assert_close(turned, square.rot90(-1, (2, 3)), atol=1e-9, rtol=0)  # clockwise
    larger = resampling(affine(factor=2.0), 7, 7, 0.0)(square)
    assert float(larger[0, 0, 3, 5]) == pytest.approx(float(square[0, 0, 3, 4]), abs=1e-9)


def test_the_affine_map_is_that_of_scipy() -> None:
    picture = image(12, 9)
    move, factor, angle = (1.3, -0.7), 0.93, 0.3
    # scipy takes output (row, column) to input: R^T (q - move) / factor about the middle.
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) / factor
    middle = np.array([5.5, 4.0])
    offset = middle - turn @ (middle + np.array([move[1], move[0]]))
    expected = ndimage.affine_transform(
        picture[0, 0].numpy(), turn, offset, order=1, mode="grid-constant"
    )
    made = resampling(affine(move=move, factor=factor, angle=angle), 12, 9, 0.0)(picture)
    np.testing.assert_allclose(made[0, 0], expected, atol=1e-9)


def test_consecutive_affine_maps_are_interpolated_once() -> None:
    chain = Chain((Scale(0.3), Rotate(30.0), Jitter(0.1)), 5, clip=False)
    steps = chain._steps(1, 16, 16, 0, 0)
    assert len(steps) == 1
    assert len(Chain((Scale(), Blur(), Jitter()))._steps(1, 16, 16, 0, 0)) == 3
    assert len(Chain((Scale(), Jitter(fill=0.0)))._steps(1, 16, 16, 0, 0)) == 2
    expected = torch.eye(3, dtype=torch.float64)
    for place, part in enumerate(chain.transforms):
        seed = position_seed(5, f"{chain.purpose}|{place}", 0, 0)
        numbers = torch.Generator().manual_seed(seed)
        expected = part.matrix(Draw(1, 16, 16, numbers)).mm(expected)
    picture = image(16, 16)
    torch.testing.assert_close(steps[0](picture), resampling(expected, 16, 16, 0.5)(picture))


def test_shifts_and_factors_and_angles_fill_their_ranges() -> None:
    shifts = torch.stack([Jitter(0.125).matrix(draw(16, 32, seed))[:2, 2] for seed in range(300)])
    assert (shifts.abs().max(dim=0).values <= torch.tensor([4.0, 2.0])).all()
    assert (shifts.abs().max(dim=0).values > torch.tensor([3.8, 1.9])).all()
    factors = torch.stack([Scale(0.2).matrix(draw(8, 8, seed))[0, 0] for seed in range(300)])
    assert 0.8 <= float(factors.min()) < 0.81
    assert 1.19 < float(factors.max()) <= 1.2
    sines = torch.stack([Rotate(30.0).matrix(draw(8, 8, seed))[1, 0] for seed in range(300)])
    assert 0.49 < float(sines.max()) <= 0.5
    assert -0.5 <= float(sines.min()) < -0.49


def test_a_series_is_only_shifted_in_time() -> None:
    series = torch.full((1, 2, 40), 0.8, dtype=torch.float64)
    shown = Chain((Jitter(0.2),), 1).draw((2, 40), 0, 0)(series)
    assert set(shown[0, 0].round(decimals=6).tolist()) >= {0.8, 0.5}
    assert (shown[0, 0] > 0.799).sum() >= 30
    rolled = Chain((Roll(0.25),), 1).draw((2, 40), 0, 0)(series.cumsum(2) / 40)
    assert torch.equal(rolled.sort(dim=2).values, (series.cumsum(2) / 40).sort(dim=2).values)


def test_a_margin_comes_into_view() -> None:
    white = torch.ones(1, 1, 10, 10, dtype=torch.float64)
    alone = Chain((Pad(0.3),)).draw((1, 10, 10), 0, 0)(white)
    assert torch.equal(alone, white)
    shifted = Chain((Pad(0.3, fill=0.25), Jitter(0.2))).draw((1, 10, 10), 0, 0)(white)
    assert shifted.min() == 0.25
    for mode in ("reflect", "replicate"):
        framed = Chain((Pad(0.3, mode), Jitter(0.1))).draw((1, 10, 10), 0, 0)(white)
        torch.testing.assert_close(framed, white)


def test_a_crop_is_a_part_of_the_image_made_larger() -> None:
    columns = torch.linspace(0, 1, 64, dtype=torch.float64).expand(1, 1, 64, 64)
    shown = Chain((Crop(0.5, size_deviation=0.0, middle_deviation=0.0),)).draw((1, 64, 64), 0, 0)(
        columns
    )
    torch.testing.assert_close(
        shown[0, 0, 0, [0, -1]], torch.tensor([0.25, 0.75], dtype=torch.float64), atol=0.02, rtol=0
    )
    for seed in range(50):  # no point comes from outside
        far = Crop(0.3, size_deviation=0.2, middle_deviation=0.5, fill=0.0)
        inside = far.draw(draw(64, 64, seed))(torch.ones(1, 1, 64, 64, dtype=torch.float64))
        assert inside.min() > 0.999999


def test_a_crop_may_reach_beyond_the_edge() -> None:
    white = torch.ones(1, 1, 64, 64, dtype=torch.float64)
    least = []
    for seed in range(20):
        far = Crop(0.3, middle_deviation=0.5, fill=0.25, beyond=True)
        least.append(float(far.draw(draw(64, 64, seed))(white).min()))
    assert sum(value < 0.5 for value in least) >= 10
    centred = Crop(0.5, middle_deviation=0.0, beyond=True)
    inside = Crop(0.5, middle_deviation=0.0)
    assert torch.equal(centred.matrix(draw(64, 64)), inside.matrix(draw(64, 64)))


def test_schedules_go_to_their_end_and_stay() -> None:
    crop = Crop(0.5, 0.05, 9, size_deviation=0.0, middle_deviation=0.0)
    sizes = [1 / float(crop.matrix(draw(8, 8, generation=g))[0, 0]) for g in (-1, 0, 3, 6, 9, 100)]
    np.testing.assert_allclose(sizes, [0.5, 0.5, 0.35, 0.2, 0.05, 0.05])
    nothing = torch.zeros(1, 1, 8, 8, dtype=torch.float64)
    noise = Noise(0.5, over=4)
    first, half, last = (noise.draw(draw(8, 8, generation=g))(nothing) for g in (0, 2, 4))
    torch.testing.assert_close(half, first / 2)
    assert not last.any()


def test_blurring_is_that_of_scipy() -> None:
    picture = image(20, 17)
    shown = Blur(1.5, 1.5).draw(draw(20, 17))(picture)
    expected = ndimage.gaussian_filter(picture[0, 0].numpy(), 1.5, mode="nearest", radius=5)
    np.testing.assert_allclose(shown[0, 0], expected, atol=1e-9)
    assert torch.equal(Blur(0.0, 0.0).draw(draw(20, 17))(picture), picture)


def test_channels_get_an_offset_and_a_scale_of_their_own() -> None:
    made = Colour(1.0, 1.0).draw(Draw(3, 4, 4, torch.Generator().manual_seed(0)))
    zero, one = made(torch.zeros(1, 3, 4, 4)), made(torch.ones(1, 3, 4, 4))
    factor = (one - zero)[0, :, 0, 0]
    offset = -zero[0, :, 0, 0] / factor
    assert (zero == zero[..., :1, :1]).all()
    assert len(set(factor.tolist())) == 3
    assert (factor.log().abs() <= 1).all()
    assert (offset.abs() <= 1).all()


def test_noise_has_its_strength() -> None:
    half = torch.full((1, 1, 200, 200), 0.5, dtype=torch.float64)
    for noise, deviation in ((Noise(0.05), 0.05), (Noise(0.0, 0.06), 0.06 / math.sqrt(3))):
        added = noise.draw(draw(200, 200))(half) - 0.5
        assert float(added.std()) == pytest.approx(deviation, rel=0.05)
    flat = Noise(0.1, each="channel").draw(Draw(3, 9, 9, torch.Generator().manual_seed(0)))
    added = flat(torch.zeros(1, 3, 9, 9))
    assert (added == added[..., :1, :1]).all()
    assert len(set(added[0, :, 0, 0].tolist())) == 3


def test_reflections_have_their_probability() -> None:
    picture = image(5, 5)
    flips = [Flip(0.25, 0.75).draw(draw(5, 5, seed))(picture) for seed in range(400)]
    kinds = {
        (left, upper): sum(
            torch.equal(one, picture.flip([3] * left + [2] * upper)) for one in flips
        )
        for left in (0, 1)
        for upper in (0, 1)
    }
    assert sum(kinds.values()) == 400
    assert 60 < kinds[1, 0] + kinds[1, 1] < 140
    assert 260 < kinds[0, 1] + kinds[1, 1] < 340
