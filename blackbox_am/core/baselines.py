"""Which natural images of a set are observed, and images as artifacts."""

from __future__ import annotations

import logging
import os
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from blackbox_am.core.pictures import pictures_in, read_picture, read_pictures
from blackbox_am.core.spec import BaselineSpec
from blackbox_am.errors import ShapeMismatch

log = logging.getLogger(__name__)


def which(spec: BaselineSpec, images: int) -> list[int]:
    """The positions of the images to observe, evenly spaced in a set of `images`."""
    rows = min(spec.rows, images)
    return [int((place + 0.5) * images / rows) for place in range(rows)]


def is_local(images: str) -> bool:
    """Whether natural images are named by a folder or a file, and not as a set of a catalogue."""
    return Path(images).exists() or Path(images).suffix in (".npy", ".npz")


def folder_array(
    folder: str | os.PathLike[str], shape: tuple[int, ...], rows: int
) -> NDArray[np.uint8]:
    """(N, 3, height, width) of at most `rows` pictures in a folder, evenly spaced.

    A picture that cannot be read is left out and named in the log.

    Args:
        folder: its path.
        shape: of one stimulus, (1 or 3, height, width).
        rows: largest number of pictures.

    Raises:
        InvalidSpec: if the folder or all its pictures cannot be read, or if it holds none.
        ShapeMismatch: if the stimuli are not pictures.
    """
    check_picture(shape, f"the images of {os.fspath(folder)}")
    files = pictures_in(folder)
    chosen = which(BaselineSpec(images="folder", rows=rows), len(files))
    read = partial(read_picture, size=(shape[1], shape[2]))
    found, unread = read_pictures([files[place] for place in chosen], read)
    for _, why in unread:
        log.warning("baseline: left out: %s", why)
    return np.stack(found)


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
