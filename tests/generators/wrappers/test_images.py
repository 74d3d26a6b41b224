"""resize, colour and antialias: against other ways to compute the same."""

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage

from blackbox_am.errors import InvalidSpec
from blackbox_am.generators.parametric.pixels import Pixels
from blackbox_am.generators.wrappers.antialias import Antialias
from blackbox_am.generators.wrappers.colour import Colour
from blackbox_am.generators.wrappers.resize import Resize


def rendered(wrapper, images: torch.Tensor) -> torch.Tensor:
    return wrapper.render(images.flatten(1))


def pillow(image: torch.Tensor, size: tuple[int, int], mode: Image.Resampling) -> np.ndarray:
    """Each channel of an image resized by Pillow, in float."""
    planes = [Image.fromarray(plane.numpy(), mode="F") for plane in image]
    return np.stack([np.asarray(plane.resize(size[::-1], mode)) for plane in planes])


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [(5, 7), (20, 30)])
def test_resizing_is_that_of_pillow(mode: str, size: tuple[int, int]) -> None:
    images = torch.rand(2, 3, 16, 12)
    made = rendered(Resize(Pixels((3, 16, 12)), size, mode=mode), images)
    resampling = Image.Resampling[mode.upper()]
    expected = np.stack([pillow(image, size, resampling) for image in images]).clip(0, 1)
    np.testing.assert_allclose(made, expected, atol=2e-6)


def test_nearest_repeats_pixels() -> None:
    images = torch.rand(2, 1, 3, 2)
    made = rendered(Resize(Pixels((1, 3, 2)), (6, 6), mode="nearest"), images)
    assert torch.equal(made, images.repeat_interleave(2, 2).repeat_interleave(3, 3))


def test_fine_stripes_become_grey_and_not_coarse_stripes() -> None:
    stripes = torch.arange(32).remainder(2).float().expand(1, 1, 32, 32)
    made = rendered(Resize(Pixels((1, 32, 32)), (12, 12)), stripes)
    assert (made - 0.5).abs().max() < 0.1
    chosen = rendered(Resize(Pixels((1, 32, 32)), (12, 12), mode="nearest"), stripes)
    assert set(chosen.flatten().tolist()) == {0.0, 1.0}


def test_crop_keeps_the_middle() -> None:
    images = torch.rand(2, 3, 9, 8)
    made = rendered(Resize(Pixels((3, 9, 8)), (5, 4), "crop"), images)
    assert torch.equal(made, images[:, :, 2:7, 2:6])


def test_cover_keeps_the_proportions() -> None:
    ramp = torch.linspace(0, 1, 20).expand(1, 1, 10, 20)
    made = rendered(Resize(Pixels((1, 10, 20)), (5, 5), "cover"), ramp)
    half = rendered(Resize(Pixels((1, 10, 20)), (5, 10)), ramp)
    torch.testing.assert_close(made, half[:, :, :, 2:7])
    assert Resize(Pixels((1, 7, 3)), (50, 31), "cover").render(torch.rand(1, 21)).shape[2:] == (
        50,
        31,
    )


def test_series_are_resized_along_their_steps() -> None:
    series = torch.rand(2, 3, 40)
    made = rendered(Resize(Pixels((3, 40)), (10,)), series)
    expected = rendered(Resize(Pixels((3, 1, 40)), (1, 10)), series)
    assert made.shape == (2, 3, 10)
    torch.testing.assert_close(made, expected[:, :, 0])


def test_grey_is_brightness_and_comes_back_as_three_equal_channels() -> None:
    images = torch.rand(4, 3, 5, 6)
    grey = rendered(Colour(Pixels((3, 5, 6))), images)
    weights = torch.tensor([0.299, 0.587, 0.114])
    torch.testing.assert_close(grey[:, 0], torch.einsum("nchw,c->nhw", images, weights))
    back = rendered(Colour(Pixels((1, 5, 6)), "rgb"), grey)
    assert back.shape == (4, 3, 5, 6)
    assert torch.equal(back[:, 2:], grey)


def test_bgr_turns_the_channels_around() -> None:
    images = torch.rand(4, 3, 5, 6)
    made = rendered(Colour(Pixels((3, 5, 6)), "bgr"), images)
    assert torch.equal(made, images[:, [2, 1, 0]])


def test_the_blur_is_that_of_scipy() -> None:
    images = torch.rand(2, 3, 14, 11)
    made = rendered(Antialias(Pixels((3, 14, 11)), 1.3), images)
    expected = ndimage.gaussian_filter(
        images.double().numpy(), (0, 0, 1.3, 1.3), mode="nearest", radius=4
    )
    np.testing.assert_allclose(made, expected, atol=1e-6)
    series = rendered(Antialias(Pixels((3, 154)), 1.3), images)
    expected = ndimage.gaussian_filter1d(
        images.double().flatten(2).numpy(), 1.3, mode="nearest", radius=4
    )
    np.testing.assert_allclose(series, expected.reshape(series.shape), atol=1e-6)


def test_the_blur_weakens_a_wave_as_it_says() -> None:
    frequency, sigma = 0.2, 0.9
    steps = torch.arange(200)
    wave = 0.5 + 0.4 * torch.cos(2 * torch.pi * frequency * steps)[None, None]
    made = rendered(Antialias(Pixels((1, 200)), sigma), wave)[:, :, 20:-20] - 0.5
    expected = torch.exp(torch.tensor(-2 * (torch.pi * sigma * frequency) ** 2))
    assert float(made.abs().max() / 0.4) == pytest.approx(float(expected), rel=0.01)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Resize(Pixels(), ()), "size: expected"),
        (lambda: Resize(Pixels(), (0, 5)), "size: expected"),
        (lambda: Resize(Pixels(), (5, 5), "fill"), "fit: expected stretch, cover, crop"),
        (lambda: Resize(Pixels(), (5, 5), mode="cubic"), "mode: expected bilinear"),
        (lambda: Resize(Pixels((40,)), (5,)).stimulus_shape, "series .*got \\(40,\\)"),
        (lambda: Resize(Pixels((3, 4, 9)), (5, 5), "crop").stimulus_shape, "at most .*\\(4, 9\\)"),
        (lambda: Colour(Pixels(), "gray"), "channels: expected grey"),
        (lambda: Colour(Pixels((1, 4, 4))).stimulus_shape, "\\(3, height, width\\) for 'grey'"),
        (lambda: Colour(Pixels(), "rgb").stimulus_shape, "\\(1, height, width\\) for 'rgb'"),
        (lambda: Antialias(Pixels(), 0.0), "sigma: expected a positive"),
        (lambda: Antialias(Pixels((5,))).stimulus_shape, "images .* or series"),
    ],
)
def test_what_does_not_fit_is_said(build, message: str) -> None:
    with pytest.raises(InvalidSpec, match=message):
        build()
