"""The nets of GANs and of series: shapes and parameters."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from blackbox_am.errors import InvalidSpec
from blackbox_am.zoo.gans import GanArchitecture, UpBlock
from blackbox_am.zoo.series import SeriesArchitecture, SeriesCNN, SeriesEncoder


@torch.no_grad()
@pytest.mark.parametrize("style", ["sngan", "dcgan"])
@pytest.mark.parametrize(("widths", "side"), [((6, 4), 8), ((8, 6, 4), 16), ((8, 8, 6, 4), 32)])
def test_pictures_double_with_every_width(style, widths, side):
    architecture = GanArchitecture(9, style, widths, 2)
    assert architecture.stimulus_shape == (2, side, side)
    pictures = architecture.build().eval()(torch.randn(3, 9))
    assert pictures.shape == (3, 2, side, side)
    assert float(pictures.abs().max()) <= 1.0


@torch.no_grad()
def test_the_cheap_shortcut_equals_the_papers_order():
    block = UpBlock(5, 3).eval()
    nn.init.zeros_(block.conv2.weight)
    nn.init.zeros_(block.conv2.bias)
    x = torch.randn(2, 5, 4, 4)
    upsampled = functional.interpolate(x, scale_factor=2.0)
    torch.testing.assert_close(block(x), block.skip(upsampled))


def test_architectures_are_plain_json_and_back():
    for made in (GanArchitecture(7, "dcgan", (8, 4), 1), SeriesArchitecture(3, (8, 4), 2)):
        plain = made.plain()
        assert isinstance(plain["widths"], list)
        assert type(made).from_plain(plain) == made


def test_missing_keys_have_the_defaults_of_the_shipped_model():
    assert GanArchitecture.from_plain({}) == GanArchitecture()
    assert GanArchitecture().stimulus_shape == (3, 32, 32)
    assert SeriesArchitecture().stimulus_shape == (1, 128)


def test_a_value_that_is_not_a_number_is_refused():
    with pytest.raises(InvalidSpec, match=r"channels: expected a whole number above 0, got 1\.5"):
        SeriesArchitecture(3, (8, 4), 1.5)


@torch.no_grad()
def test_series_nets_fit_each_other():
    architecture = SeriesArchitecture(3, (8, 6, 4), 2)
    assert architecture.stimulus_shape == (2, 32)
    series = architecture.build()(torch.randn(5, 3))
    assert series.shape == (5, 2, 32)
    assert float(series.min()) >= 0
    assert float(series.max()) <= 1
    mean, logvar = SeriesEncoder(architecture)(series)
    assert mean.shape == logvar.shape == (5, 3)
    assert SeriesCNN(2, (4, 5, 6), 7).eval()(series).shape == (5, 7)
