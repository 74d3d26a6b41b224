"""Inputs and labels from folders and files."""

import numpy as np
import pytest
from PIL import Image

from blackbox_am.attacks.inputs import Given, as_pixels, given_inputs, labels_in
from blackbox_am.errors import InvalidInput, InvalidSpec, NotFound, ShapeMismatch

SHAPE = (3, 6, 8)
PIXELS = np.random.default_rng(0).integers(0, 256, (4, *SHAPE), np.uint8)


@pytest.fixture
def folder(tmp_path):
    for place, image in enumerate(PIXELS):
        Image.fromarray(image.transpose(1, 2, 0)).save(tmp_path / f"{place}.png")
    return tmp_path


def test_every_pixel_of_a_folder_is_read_and_a_broken_file_is_named(folder):
    (folder / "1b.png").write_bytes(b"no picture")
    given = given_inputs(folder, SHAPE)
    assert np.array_equal(given.stimuli, PIXELS)
    assert given.names == ("0.png", "1.png", "2.png", "3.png")
    assert [name for name, _ in given.unread] == ["1b.png"]
    assert "cannot be read" in given.unread[0][1]


def test_a_turned_photograph_is_read_as_it_is_shown(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    image = Image.fromarray(PIXELS[0].transpose(1, 2, 0))
    image.rotate(90, expand=True).save(tmp_path / "a.png", exif=exif)
    assert np.array_equal(given_inputs(tmp_path, SHAPE).stimuli[0], PIXELS[0])


def test_grey_pictures_for_a_model_of_one_channel(tmp_path):
    Image.fromarray(PIXELS[0, 0]).save(tmp_path / "a.png")
    given = given_inputs(tmp_path, (1, 6, 8))
    assert np.array_equal(given.stimuli[0, 0], PIXELS[0, 0])


@pytest.mark.parametrize("name", ["images", "x"])
def test_arrays_of_a_file_with_their_labels(tmp_path, name):
    np.savez(tmp_path / "a.npz", **{name: PIXELS.transpose(0, 2, 3, 1), "labels": [0, 1, 1, 0]})
    given = given_inputs(tmp_path / "a.npz", SHAPE)
    assert np.array_equal(given.stimuli, PIXELS)
    assert given.labels == (0, 1, 1, 0)


def test_floats_that_are_pictures_become_pixels():
    assert np.array_equal(as_pixels(given_inputs(PIXELS / 255, SHAPE)).stimuli, PIXELS)
    real = np.random.default_rng(0).random((2, 5))
    assert as_pixels(given_inputs(real, (5,))).stimuli.dtype == np.float32


@pytest.mark.parametrize(
    ("source", "error", "says"),
    [
        ("nowhere", NotFound, "nowhere"),
        ("empty", InvalidSpec, "no images"),
        ("a.txt", InvalidInput, "a .npz or a .npy file"),
        ("other.npz", InvalidInput, "got pictures"),
        ("broken.npy", InvalidInput, "cannot read"),
        ("cut.npz", InvalidInput, "cannot read"),
        ("large", ShapeMismatch, "expected 8 x 6 pixels.*got 9 x 6 in a.png"),
        ("unreadable", InvalidInput, "none of the 1 pictures"),
    ],
)
def test_a_bad_source_is_explained(tmp_path, source, error, says):
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.txt").write_text("x")
    np.savez(tmp_path / "other.npz", pictures=PIXELS)
    (tmp_path / "broken.npy").write_bytes(b"x")
    (tmp_path / "cut.npz").write_bytes((tmp_path / "other.npz").read_bytes()[:-40])
    for name in ("large", "unreadable"):
        (tmp_path / name).mkdir()
    Image.new("RGB", (9, 6)).save(tmp_path / "large" / "a.png")
    (tmp_path / "unreadable" / "a.png").write_bytes(b"x")
    with pytest.raises(error, match=says):
        given_inputs(tmp_path / source, SHAPE)


def test_labels_by_line_or_by_name(tmp_path):
    given = Given(PIXELS[:2], ("0.png", "2.png"), unread=(("1.png", "broken"),))
    path = tmp_path / "labels.csv"
    for text in ("cat\n3\n", "label\ncat\n3\n", "cat\ndog\n3\n", "label\ncat\ndog\n3\n"):
        path.write_text(text)
        assert labels_in(path, given) == ["cat", "3"]
    path.write_text("name,label\n2.png,dog\n0.png,cat\n", encoding="utf-8-sig")
    assert labels_in(path, given) == ["cat", "dog"]
    path.write_text("2.png,dog\n")
    with pytest.raises(InvalidInput, match=r"targets.*no label for 0\.png"):
        labels_in(path, given, "targets")
    path.write_text("1.png,dog,2\n")
    with pytest.raises(InvalidInput, match="one label in a line"):
        labels_in(path, given)


def test_the_first_readable_picture_says_the_shape(folder):
    (folder / "0.png").write_bytes(b"no picture")
    given = given_inputs(folder)
    assert given.stimuli.shape == (3, *SHAPE)
    assert [name for name, _ in given.unread] == ["0.png"]


def test_a_table_of_zeros_and_ones_stays_numbers():
    table = np.random.default_rng(0).integers(0, 2, (5, 7)).astype(np.float32)
    assert as_pixels(given_inputs(table, (7,))).stimuli.dtype == np.float32


def test_names_of_features_come_with_the_rows(tmp_path):
    rows = np.random.default_rng(0).random((5, 3), np.float32)
    path = tmp_path / "rows.npz"
    np.savez(path, x=rows, features=["age", "height", "pulse"])
    assert given_inputs(path).features == ("age", "height", "pulse")
    np.savez(path, x=rows, features=["age", "height"])
    with pytest.raises(InvalidInput, match=r"features: expected one name .* got 2"):
        given_inputs(path)
