"""Files of pictures in a folder, as arrays."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from blackbox_am.errors import InvalidSpec

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".ppm", ".pgm")
"""Endings of the names of the files that are read; other files are ignored."""


def pictures_in(folder: str | os.PathLike[str]) -> list[Path]:
    """The files of pictures directly inside `folder`, in the order of their names.

    Raises:
        InvalidSpec: if the folder cannot be read or holds no pictures.
    """
    try:
        entries = sorted(Path(folder).iterdir())
    except OSError as error:
        raise InvalidSpec(
            f"the folder of images {os.fspath(folder)!r} cannot be read: {error.strerror}",
            field="images",
        ) from error
    found = [path for path in entries if path.suffix.lower() in SUFFIXES and path.is_file()]
    if not found:
        raise InvalidSpec(
            f"the folder {os.fspath(folder)!r} holds no images; expected files that end with "
            f"{', '.join(SUFFIXES[:4])} or similar, directly inside the folder",
            field="images",
        )
    return found


def read_picture(path: Path, size: tuple[int, int]) -> NDArray[np.uint8]:
    """(3, height, width) of the picture in a file, made smaller or larger until it covers `size`
    and cropped to its middle.

    Args:
        path: the file.
        size: (height, width).

    Raises:
        InvalidSpec: if the file is no picture.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    height, width = size
    try:
        with Image.open(path) as image:
            shown = ImageOps.fit(image.convert("RGB"), (width, height), Image.Resampling.BILINEAR)
            return np.array(shown).transpose(2, 0, 1)
    except (OSError, UnidentifiedImageError, ValueError, Image.DecompressionBombError) as error:
        raise InvalidSpec(
            f"the image {os.fspath(path)!r} cannot be read ({error}); remove it from the folder",
            field="images",
        ) from error
