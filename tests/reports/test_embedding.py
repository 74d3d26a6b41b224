"""Pictures and figures as bytes and data URIs."""

from __future__ import annotations

import base64
from io import BytesIO
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from blackbox_am.reports import data_uri, figure_png, figure_svg, inline_svg, png, shrunk

PICTURE = np.random.default_rng(0).integers(0, 256, (6, 9, 3)).astype(np.float32) / 255


def pixels(body: bytes) -> np.ndarray:
    with Image.open(BytesIO(body)) as picture:
        return np.asarray(picture)


@pytest.mark.parametrize("picture", [PICTURE, PICTURE[..., 0]])
def test_png_keeps_every_step_of_8_bits(picture: np.ndarray) -> None:
    assert np.array_equal(pixels(png(picture)), np.rint(picture * 255).astype(np.uint8))


def test_nan_and_values_outside_the_range_are_drawn() -> None:
    odd = np.asarray([[np.nan, -1.0], [2.0, 0.5]], np.float32)
    assert pixels(png(odd)).tolist() == [[0, 0], [255, 128]]


def test_a_large_picture_is_averaged_and_a_small_one_is_kept() -> None:
    assert shrunk(PICTURE, 9) is PICTURE
    small = shrunk(np.kron(PICTURE[..., 0], np.ones((4, 4), np.float32)), 9)
    assert small.shape == (6, 9)
    assert np.abs(small - PICTURE[..., 0]).max() < 1 / 255
    assert shrunk(np.zeros((2, 500, 3), np.float32), 50).shape == (1, 50, 3)


def test_figures_have_a_transparent_ground_and_the_same_bytes_each_time() -> None:
    def figure() -> Figure:
        drawn = Figure(figsize=(2, 1))
        drawn.subplots().plot([1, 2], label="x")
        return drawn

    assert figure_svg(figure()) == figure_svg(figure())
    assert b"<dc:date>" not in figure_svg(figure())
    assert ET.fromstring(figure_svg(figure())).tag.endswith("svg")
    assert pixels(figure_png(figure()))[0, 0, 3] == 0


def test_a_letter_that_the_font_lacks_is_no_warning() -> None:
    figure = Figure(figsize=(2, 1))
    figure.text(0.5, 0.5, "猫")
    assert figure_svg(figure).startswith(b"<?xml")


def test_a_figure_in_a_page_has_names_of_its_own() -> None:
    figure = Figure(figsize=(2, 1))
    figure.subplots().plot([1, 2])
    figure.text(0.1, 0.5, "--><script>")
    body = str(inline_svg(figure, "first", '"both" & <all>'))
    root = ET.fromstring(body)
    assert root.attrib["aria-label"] == '"both" & <all>'
    names = [one.attrib["id"] for one in root.iter() if "id" in one.attrib]
    assert names
    assert all(name.startswith("first-") for name in names)
    assert not {"style", "metadata", "script"} & {one.tag.rpartition("}")[2] for one in root.iter()}
    assert "<!--" not in body
    assert "script" not in body


def test_a_data_uri_contains_the_file() -> None:
    for body, media in ((png(PICTURE), "image/png"), (figure_svg(Figure()), "image/svg+xml")):
        uri = data_uri(body)
        head, _, content = uri.partition(",")
        assert head == f"data:{media};base64"
        assert base64.b64decode(content) == body
