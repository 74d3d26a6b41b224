"""Every kind of stimulus has its own kind of drawing."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from blackbox_am.core.stimuli import as_picture, in_unit_interval
from blackbox_am.plots import Row, montage
from blackbox_am.plots.stimuli import draw


def drawn(*shape: int) -> tuple[Axes, np.ndarray]:
    stimulus = np.random.default_rng(0).random(shape).astype(np.float32)
    axes = Figure().add_axes((0, 0, 1, 1))
    draw(axes, stimulus)
    return axes, stimulus


def notes(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_a_table_row_is_drawn_as_bars() -> None:
    axes, stimulus = drawn(9)
    np.testing.assert_allclose([bar.get_height() for bar in axes.patches], stimulus)
    assert not axes.lines
    assert not axes.images


def test_a_long_table_row_is_drawn_as_a_line() -> None:
    axes, stimulus = drawn(500)
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), stimulus)


def test_a_series_is_drawn_as_one_line_per_channel() -> None:
    axes, stimulus = drawn(3, 40)
    assert len(axes.lines) == 3
    for line, channel in zip(axes.lines, stimulus, strict=True):
        np.testing.assert_array_equal(line.get_ydata(), channel)
    assert notes(axes) == ["3 channels"]
    assert len({line.get_color() for line in axes.lines}) == 3


def test_an_image_without_a_channel_axis_is_not_a_series() -> None:
    axes, stimulus = drawn(28, 28)
    np.testing.assert_array_equal(axes.images[0].get_array(), stimulus)


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_are_drawn_unchanged(channels: int) -> None:
    axes, stimulus = drawn(channels, 6, 5)
    expected = stimulus[0] if channels == 1 else stimulus.transpose(1, 2, 0)
    np.testing.assert_array_equal(axes.images[0].get_array(), expected)
    assert not notes(axes)


@pytest.mark.parametrize("channels", [2, 4, 7, 16, 30])
def test_channels_are_drawn_as_tiles(channels: int) -> None:
    stimulus = np.random.default_rng(0).random((channels, 6, 5)).astype(np.float32)
    picture, what = as_picture(stimulus)
    shown = min(channels, 16)
    assert what == f"{channels} channels" + (", first 16" if channels > 16 else "")
    # Each tile is there once; where none is, it is white.
    found = [
        (top, left)
        for tile in stimulus[:shown]
        for top in range(picture.shape[0] - 5)
        for left in range(picture.shape[1] - 4)
        if np.array_equal(picture[top : top + 6, left : left + 5], tile)
    ]
    assert len(found) == shown
    assert found == sorted(found)  # in reading order
    assert picture.sum() == pytest.approx(
        stimulus[:shown].sum() + picture.size - stimulus[:shown].size, rel=1e-5
    )


@pytest.mark.parametrize(
    ("shape", "what", "times"),
    [
        ((2, 3, 4, 5), "2 frames", [0, 1]),
        ((5, 1, 4, 5), "5 frames", [0, 1, 2, 3, 4]),
        ((17, 3, 4, 5), "17 frames, 9 of them", list(range(0, 17, 2))),
        ((2, 6, 4, 5), "2 frames, mean of 6 channels", [0, 1]),
    ],
)
def test_a_clip_is_drawn_as_frames(shape: tuple[int, ...], what: str, times: list[int]) -> None:
    stimulus = np.random.default_rng(0).random(shape).astype(np.float32)
    picture, said = as_picture(stimulus)
    assert said == what
    frames = stimulus if shape[1] in (1, 3) else stimulus.mean(1, keepdims=True)
    frames = frames.transpose(0, 2, 3, 1)
    picture = picture.reshape(*picture.shape[:2], -1)
    for time in range(shape[0]):
        there = any(
            np.array_equal(picture[top : top + 4, left : left + 5], frames[time])
            for top in range(picture.shape[0] - 3)
            for left in range(picture.shape[1] - 4)
        )
        assert there == (time in times)


def test_more_axes_are_drawn_as_a_line_with_a_note() -> None:
    axes, stimulus = drawn(2, 2, 3, 4, 5)
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), stimulus.reshape(-1))
    assert notes(axes) == ["2 x 2 x 3 x 4 x 5"]


def test_uint8_and_values_out_of_range() -> None:
    found = in_unit_interval(np.array([[-1.0, 2.0], [np.nan, 0.5]]))
    assert found.tolist() == [[0.0, 1.0], [0.0, 0.5]]
    assert in_unit_interval(np.array([0, 255], np.uint8)).tolist() == [0.0, 1.0]


def test_none_draws_an_empty_frame() -> None:
    axes = Figure().add_axes((0, 0, 1, 1))
    draw(axes, None)
    assert not [*axes.images, *axes.lines, *axes.patches]


def test_a_montage_draws_stimuli_of_all_kinds() -> None:
    shapes = [(9,), (2, 30), (3, 6, 6), (7, 6, 6), (4, 3, 6, 6), (2, 2, 2, 2, 2)]
    stimuli = [np.full(shape, 0.5, np.float32) for shape in shapes]
    figure = montage([Row("best", stimuli, [1.0] * 6)], [str(shape) for shape in shapes])
    assert len(figure.axes) == 6
