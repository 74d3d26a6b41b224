"""Folders of pictures as stimuli."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from blackbox_am.core.baselines import folder_array, which
from blackbox_am.core.images import fitted
from blackbox_am.core.spec import BaselineSpec
from blackbox_am.core.tensors import npy_of
from blackbox_am.errors import InvalidSpec, ShapeMismatch


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
