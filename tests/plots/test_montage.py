from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from blackbox_am.errors import InvalidInput
from blackbox_am.plots import Row, montage, save


def _pixels(figure):
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    return np.asarray(Image.open(buffer).convert("RGB"))


def _flat(colour):
    return np.broadcast_to(np.asarray(colour, np.float32)[:, None, None], (3, 8, 8))


def test_shows_every_picture_in_its_own_colour():
    red, green, blue = _flat((1, 0, 0)), _flat((0, 1, 0)), _flat((0, 0, 1))
    pixels = _pixels(montage([Row("a", [red, green]), Row("b", [blue, None])], ["x", "y"]))
    for colour in ((255, 0, 0), (0, 255, 0), (0, 0, 255)):
        assert (pixels == colour).all(axis=-1).sum() > 5000


def test_enlarges_without_smoothing():
    board = np.indices((8, 8)).sum(0) % 2
    pixels = _pixels(montage([Row("a", [board.astype(np.float32)])], [""]))
    black, white = (pixels == 0).all(-1).sum(), (pixels == 255).all(-1).sum()
    assert black > 5000
    grey = pixels.shape[0] * pixels.shape[1] - black - white
    assert grey < 0.25 * black  # the letters and the frame, no blur


def test_the_best_score_of_a_column_is_bold():
    picture = np.zeros((4, 4))
    figure = montage([Row("a", [picture], [2.0]), Row("b", [picture], [1.0])], ["x"])
    weights = {text.get_text(): text.get_fontweight() for text in figure.texts}
    assert weights["2.00"] == "bold"
    assert weights["1.00"] == "normal"


def test_many_titles_wrap_into_bands():
    pictures = [np.zeros((4, 4))] * 7
    narrow = montage([Row("a", pictures)], ["t"] * 7, columns=3)
    wide = montage([Row("a", pictures)], ["t"] * 7, columns=7)
    assert len(narrow.axes) == len(wide.axes) == 7
    assert narrow.get_figheight() > wide.get_figheight()
    assert narrow.get_figwidth() < wide.get_figwidth()


def test_uint8_and_float_are_drawn_equally():
    picture = np.linspace(0, 255, 64).reshape(8, 8).astype(np.uint8)
    assert np.array_equal(
        _pixels(montage([Row("a", [picture])], ["x"])),
        _pixels(montage([Row("a", [picture / 255])], ["x"])),
    )


def test_refuses_rows_of_another_length():
    picture = np.zeros((4, 4))
    with pytest.raises(InvalidInput, match="expected 2 pictures"):
        montage([Row("a", [picture])], ["x", "y"])
    with pytest.raises(InvalidInput, match="expected 1 pictures"):
        montage([Row("a", [picture], [1.0, 2.0])], ["x"])
    with pytest.raises(InvalidInput, match="at least one"):
        montage([], ["x"])


def test_save_writes_a_picture_and_makes_the_folder(tmp_path):
    path = save(montage([Row("a", [np.zeros((4, 4))])], ["x"]), tmp_path / "new" / "m.png")
    assert np.asarray(Image.open(path)).std() > 10


def test_save_refuses_an_ending_it_does_not_know(tmp_path):
    with pytest.raises(InvalidInput, match=r"did you mean 'png'"):
        save(montage([Row("a", [np.zeros((4, 4))])], ["x"]), tmp_path / "m.pnk")
