"""Files of pictures in a folder, as arrays."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from blackbox_am.errors import InvalidSpec

if TYPE_CHECKING:
    from PIL import Image

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


def read_picture(path: Path, size: tuple[int, int], *, sharp: bool = False) -> NDArray[np.uint8]:
    """(3, height, width) of the picture in a file, made smaller or larger until it covers `size`
    and cropped to its middle.

    Args:
        path: the file.
        size: (height, width).
        sharp: whether to scale with Lanczos's filter, which keeps more detail, instead of
            bilinearly.

    Raises:
        InvalidSpec: if the file is no picture.
    """
    from PIL import Image, ImageOps

    height, width = size
    with _opened(path, (2 * width, 2 * height)) as image:
        filter_ = Image.Resampling.LANCZOS if sharp else Image.Resampling.BILINEAR
        shown = ImageOps.fit(image.convert("RGB"), (width, height), filter_)
        return np.array(shown).transpose(2, 0, 1)


def read_pixels(path: Path, channels: int) -> NDArray[np.uint8]:
    """(channels, height, width): every pixel of the picture in a file.

    Args:
        path: the file.
        channels: 1 for shades of grey, 3 for red, green and blue.

    Raises:
        InvalidSpec: if the file is no picture.
    """
    with _opened(path) as image:
        pixels = np.array(image.convert("L" if channels == 1 else "RGB"))
        return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)


@contextmanager
def _opened(path: Path, draft: tuple[int, int] | None = None) -> Iterator[Image.Image]:
    """The picture in a file, turned as its EXIF orientation says.

    Args:
        path: the file.
        draft: (width, height) of which a JPEG may be decoded at a fraction of its size.

    Raises:
        InvalidSpec: if the file is no picture, also while it is used inside the context.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as image:
            if draft is not None:
                image.draft("RGB", draft)
            yield ImageOps.exif_transpose(image)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InvalidSpec(
            f"the image {os.fspath(path)!r} cannot be read ({error}); remove it from the folder",
            field="images",
        ) from error
