"""Pictures as people have them: files, folders, PIL images and arrays."""

import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from blackbox_am.attacks.inputs import given_inputs
from blackbox_am.catalogue import ImagesFolder, ImagesGiven
from blackbox_am.core.baselines import folder_array, which
from blackbox_am.core.images import fitted
from blackbox_am.core.pictures import pictures, read_picture, read_pixels
from blackbox_am.core.spec import BaselineSpec
from blackbox_am.core.tensors import npy_of
from blackbox_am.errors import InvalidInput, InvalidSpec, NotFound, ShapeMismatch
from blackbox_am.generators.inputs.perturbation import Perturbation


def save(folder: Path, name: str, pixels: np.ndarray) -> None:
    Image.fromarray(pixels).save(folder / name)


def test_pictures_are_cropped_to_their_middle_and_ordered_by_name(tmp_path: Path) -> None:
    wide = np.zeros((8, 24, 3), np.uint8)
    wide[:, 8:16] = 200
    save(tmp_path, "b.png", wide)
    save(tmp_path, "a.png", np.full((40, 40), 7, np.uint8))
    (tmp_path / "notes.txt").write_text("no picture")
    found = folder_array(tmp_path, (3, 8, 8), 10)
    assert found.shape == (2, 3, 8, 8)
    assert (found[0] == 7).all()
    assert (found[1] == 200).all(), "the middle third"


def test_evenly_spaced_pictures_are_observed() -> None:
    assert which(BaselineSpec("x", rows=4), 8) == [1, 3, 5, 7]
    assert which(BaselineSpec("x"), 3) == [0, 1, 2]


@pytest.mark.parametrize("case", ["missing", "empty", "broken"])
def test_a_folder_without_readable_pictures_is_refused(tmp_path: Path, case: str) -> None:
    folder = tmp_path / "none" if case == "missing" else tmp_path
    if case == "broken":
        (tmp_path / "x.png").write_bytes(b"no picture")
    with pytest.raises(InvalidSpec, match=r"none|holds no images|x\.png"):
        folder_array(folder, (3, 8, 8), 10)


def test_series_have_no_pictures(tmp_path: Path) -> None:
    with pytest.raises(ShapeMismatch, match="array"):
        folder_array(tmp_path, (1, 128), 10)


def test_images_become_stimuli_of_any_size_and_colour() -> None:
    images = torch.rand(2, 3, 10, 20)
    assert fitted(images, (3, 8, 8)).shape == (2, 3, 8, 8)
    assert fitted(images, (1, 32, 16)).shape == (2, 1, 32, 16)
    assert fitted(images[:, :1], (3, 10, 20)).equal(images[:, :1].expand(-1, 3, -1, -1))
    assert fitted(images, (3, 10, 10)).equal(images[..., 5:15])


def test_an_array_is_written_as_npy() -> None:
    assert npy_of(np.arange(3))[:6] == b"\x93NUMPY"


COLOURS = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
GREY = np.arange(48, dtype=np.uint8).reshape(6, 8)
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
PAGE = b"\n<!DOCTYPE html><html><body>Please log in</body></html>"


def test_colours_of_any_mode_become_red_green_and_blue(tmp_path: Path) -> None:
    image = Image.fromarray(COLOURS)
    image.convert("CMYK").save(tmp_path / "cmyk.tif")
    image.save(tmp_path / "rgb.png")
    Image.fromarray(GREY).save(tmp_path / "grey.png")
    opaque = image.copy()
    opaque.putalpha(255)
    opaque.save(tmp_path / "opaque.png")
    for name in ("cmyk.tif", "rgb.png", "opaque.png"):
        np.testing.assert_array_equal(
            read_pixels(tmp_path / name, 3), COLOURS.transpose(2, 0, 1), err_msg=name
        )
    assert (read_pixels(tmp_path / "grey.png", 3) == GREY).all()


def test_a_jpeg_in_cmyk_has_its_colours(tmp_path: Path) -> None:
    Image.new("RGB", (16, 16), (250, 10, 10)).convert("CMYK").save(tmp_path / "a.jpg", quality=98)
    found = read_picture(tmp_path / "a.jpg", (8, 8)).astype(int)
    assert np.abs(found[:, 4, 4] - (250, 10, 10)).max() < 6


def test_transparent_pixels_are_white(tmp_path: Path) -> None:
    image = Image.new("RGBA", (4, 2), (9, 9, 9, 255))
    image.putpixel((0, 0), (9, 9, 9, 0))
    image.save(tmp_path / "a.png")
    found = read_pixels(tmp_path / "a.png", 3)
    assert (found[:, 0, 0] == 255).all()
    assert (found[:, 1] == 9).all()


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_values_of_16_bits_are_scaled_and_said(
    tmp_path: Path, ending: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / f"deep.{ending}"
    Image.fromarray(GREY.astype(np.uint16) * 257).save(path)
    assert (read_pixels(path, 1)[0] == GREY).all()
    assert "more than 8 bits" in caplog.text


def tiff_of_12_bits(orientation: int) -> bytes:
    """A TIFF file of 4 x 2 shades of 12 bits: the first row white, the second black."""
    pixels = b"\xff" * 6 + b"\0" * 6
    short, long = (3, "<HHIHxx"), (4, "<HHII")
    entries = [
        (256, short, 4), (257, short, 2), (258, short, 12), (259, short, 1), (262, short, 1),
        (273, long, 8), (274, short, orientation), (277, short, 1), (278, short, 2),
        (279, long, 12),
    ]  # fmt: skip
    packed = b"".join(struct.pack(form, tag, kind, 1, n) for tag, (kind, form), n in entries)
    start, count = struct.pack("<I", 8 + len(pixels)), struct.pack("<H", len(entries))
    return b"II*\0" + start + pixels + count + packed + bytes(4)


@pytest.mark.parametrize("orientation", [1, 3])
def test_white_of_12_bits_is_white(tmp_path: Path, orientation: int) -> None:
    path = tmp_path / "twelve.tif"
    path.write_bytes(tiff_of_12_bits(orientation))
    rows = [255, 0] if orientation == 1 else [0, 255]  # 3 is upside down
    assert read_pixels(path, 1)[0, :, 0].tolist() == rows
    assert read_picture(path, (2, 4))[0, :, 0].tolist() == rows


def test_real_numbers_are_those_of_0_to_1_only(tmp_path: Path) -> None:
    Image.fromarray(GREY.astype(np.float32) / 255).save(tmp_path / "real.tif")
    assert (read_pixels(tmp_path / "real.tif", 1)[0] == GREY).all()
    Image.fromarray(GREY.astype(np.float32)).save(tmp_path / "large.tif")
    with pytest.raises(InvalidSpec, match=r"large\.tif.*from 0 to 47.*what is white"):
        read_pixels(tmp_path / "large.tif", 1)


@pytest.mark.parametrize("ending", ["png", "jpg"])
def test_half_a_picture_is_refused_for_its_damage(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"half.{ending}"
    Image.fromarray(COLOURS.repeat(8, 0).repeat(8, 1)).save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InvalidSpec, match="remove it from the folder") as refused:
        read_pixels(path, 3)
    assert "is a picture" not in refused.value.message


def test_a_broken_picture_is_named_and_the_rest_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("a", "c", "d"):
        save(tmp_path, f"{name}.png", COLOURS)
    (tmp_path / "b.png").write_bytes(LFS)
    (tmp_path / "d.png").write_bytes((tmp_path / "a.png").read_bytes()[:100])
    assert pictures(tmp_path).shape == (2, 3, 6, 8)
    assert folder_array(tmp_path, (3, 6, 8), 10).shape == (2, 3, 6, 8)
    images = ImagesFolder(tmp_path)
    assert len(images) == 3, "the damage of d is in its pixels"
    shown = images.stimuli((3, 6, 8), [0, 1, 2])
    assert shown[2].equal(shown[0]), "the next one stands in"
    assert "b.png" in caplog.text
    assert "git lfs pull" in caplog.text
    assert "d.png" in caplog.text


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("x.npz", PAGE, "page of HTML"),
        ("x.npy", LFS, "git lfs pull"),
        ("x.npz", b"", "is empty"),
        ("x.npy", b"\x89PNG\r\n\x1a\n", "is a picture"),
        ("x.npy", b"nonsense", "expected numbers"),
    ],
)
def test_a_file_that_is_no_array_is_told_as_what_it_is(
    tmp_path: Path, name: str, content: bytes, says: str
) -> None:
    (tmp_path / name).write_bytes(content)
    for read in (pictures, lambda path: Perturbation(inputs=str(path)).space):
        with pytest.raises(InvalidSpec, match=says):
            read(tmp_path / name)
    with pytest.raises(NotFound, match=r"no file.*y\.npz"):
        pictures(tmp_path / "y.npz")


def test_no_code_of_an_array_is_run(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(InvalidSpec, match="expected numbers, written by numpy"):
        pictures(tmp_path / "x.npy")


def test_images_of_pil_alone_and_in_a_list() -> None:
    image = Image.fromarray(COLOURS)
    turned = Image.fromarray(COLOURS)
    turned.getexif()[0x0112] = 3  # by 180 degrees
    assert (pictures(image)[0] == COLOURS.transpose(2, 0, 1)).all()
    assert (pictures([image, turned])[1] == COLOURS[::-1, ::-1].transpose(2, 0, 1)).all()
    assert pictures(image, shape=(1, 6, 8)).shape == (1, 1, 6, 8)
    small = image.resize((4, 3))
    assert pictures([image, small], size=(6, 6)).shape == (2, 3, 6, 6)
    with pytest.raises(ShapeMismatch, match=r"one size, got 4 x 3, 8 x 6 pixels.*size="):
        pictures([image, small])


def test_the_order_of_axes_follows_from_the_shape() -> None:
    many = np.stack([COLOURS, COLOURS])
    first = many.transpose(0, 3, 1, 2)
    assert (pictures(many) == first).all()
    assert (pictures(first) == first).all()
    assert (pictures(torch.from_numpy(first)) == first).all()
    assert (pictures(list(many)) == first).all()
    assert (pictures(COLOURS, shape=(3, 6, 8)) == first[:1]).all()
    assert (pictures(first[0], shape=(3, 6, 8)) == first[:1]).all()
    assert pictures(GREY, shape=(1, 6, 8)).shape == (1, 1, 6, 8)
    assert pictures(many[..., 0], shape=(1, 6, 8)).shape == (2, 1, 6, 8)
    assert pictures(np.zeros((5, 3, 9, 3))).shape == (5, 3, 9, 3), "both orders are possible"
    assert pictures(np.zeros((5, 7))).shape == (5, 7), "rows of a table"


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (np.array([[0, 4000]], np.uint16), r"uint16 from 0 to 4000; say .* white=4095\)"),
        (np.array([[0, 200]]), r"int64 from 0 to 200; say .*divide by 255"),
        (np.array([[0, 1]]), "give them as floats"),
        (np.array([[0.0, 255.0]]), "divide by 255"),
        (np.array([[-1.0, 1.0]]), "undo what made them negative"),
        (np.array([[0.0, np.nan]]), "with nan; leave out"),
        (np.array([["a"]]), "expected uint8, or floats"),
    ],
)
def test_the_range_of_numbers_is_asked_for(array: np.ndarray, says: str) -> None:
    for read in (pictures, ImagesGiven):
        with pytest.raises(InvalidInput, match=says if read is pictures else "expected"):
            read(array)


def test_the_value_of_white_is_stated_in_python_and_in_the_file(tmp_path: Path) -> None:
    deep = np.random.default_rng(0).integers(0, 4096, (2, 6, 8, 3)).astype(np.uint16)
    expected = deep.transpose(0, 3, 1, 2).astype(np.float32) / np.float32(4095)
    np.testing.assert_array_equal(pictures(deep, white=4095), expected)
    names = np.array(["cat", "dog"])  # which are not divided by it
    np.savez(tmp_path / "x.npz", images=deep, white=4095, features=names, labels=[5, 9000])
    np.testing.assert_array_equal(pictures(tmp_path / "x.npz"), expected)
    np.savez(tmp_path / "y.npz", images=deep, white=4095)
    assert given_inputs(tmp_path / "y.npz", (3, 6, 8)).stimuli.dtype == np.float32
    around = Perturbation(inputs=str(tmp_path / "x.npz"), array="images", channels_last=True)
    np.testing.assert_array_equal(around.references(torch.arange(2)).numpy(), expected)
    with pytest.raises(InvalidSpec, match=r"from 0 to 1000, the value given as white, got uint16"):
        pictures(deep, white=1000)
    with pytest.raises(InvalidSpec, match="above 0"):
        pictures(deep, white=0)


@pytest.mark.parametrize("source", [3, None, {}])
def test_what_is_no_picture_at_all_is_said(source: object) -> None:
    with pytest.raises(InvalidSpec, match=r"expected a folder, .* got (int|NoneType|dict)"):
        pictures(source)
