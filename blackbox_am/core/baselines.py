"""Which natural images of a set are observed, and images as artifacts."""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray

from blackbox_am.core.pictures import pictures_in, read_picture
from blackbox_am.core.spec import BaselineSpec
from blackbox_am.errors import ShapeMismatch


def which(spec: BaselineSpec, images: int) -> list[int]:
    """The positions of the images to observe, evenly spaced in a set of `images`."""
    rows = min(spec.rows, images)
    return [int((place + 0.5) * images / rows) for place in range(rows)]


def folder_array(
    folder: str | os.PathLike[str], shape: tuple[int, ...], rows: int
) -> NDArray[np.uint8]:
    """(N, 3, height, width) of at most `rows` pictures in a folder, evenly spaced.

    Args:
        folder: its path.
        shape: of one stimulus, (1 or 3, height, width).
        rows: largest number of pictures.

    Raises:
        InvalidSpec: if the folder or a picture cannot be read, or if it holds no pictures.
        ShapeMismatch: if the stimuli are not pictures.
    """
    check_picture(shape, f"the images of {os.fspath(folder)}")
    files = pictures_in(folder)
    chosen = which(BaselineSpec(images="folder", rows=rows), len(files))
    return np.stack([read_picture(files[place], (shape[1], shape[2])) for place in chosen])


def check_picture(shape: tuple[int, ...], subject: str) -> None:
    """Check that stimuli of `shape` are pictures.

    Raises:
        ShapeMismatch: if they are not; `subject` names the pictures in the message.
    """
    if len(shape) != 3 or shape[0] not in (1, 3):
        raise ShapeMismatch(
            f"{subject} are pictures with 1 or 3 channels, and the oracle takes stimuli of shape "
            f"{tuple(shape)}; give natural stimuli of this shape as an array (N, *stimulus)",
            field="images",
        )
