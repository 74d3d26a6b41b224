"""Files of pictures in a folder, as arrays."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from blackbox_am.core.pictures.modes import in_colours, is_deep
from blackbox_am.core.pictures.numpy_files import what_is_at
from blackbox_am.errors import InvalidSpec

if TYPE_CHECKING:
    from PIL import Image

log = logging.getLogger(__name__)

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".ppm", ".pgm")
"""Endings of the names of the files that are read; other files are ignored."""

Read = Callable[[Path], NDArray[np.uint8]]


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


def read_pictures(
    files: Sequence[Path], read: Read
) -> tuple[list[NDArray[np.uint8]], list[tuple[Path, str]]]:
    """What `read` makes of those files that can be read, and the others with the reasons.

    Args:
        files: files of pictures.
        read: makes an array of a file; an `InvalidSpec` says why it cannot.

    Raises:
        InvalidSpec: if there are files and none can be read.
    """
    found: list[NDArray[np.uint8]] = []
    unread: list[tuple[Path, str]] = []
    for path in files:
        try:
            found.append(read(path))
        except InvalidSpec as error:
            unread.append((path, error.message))
    if unread and not found:
        raise InvalidSpec(
            f"images: none of the {len(unread)} pictures can be read; the first: {unread[0][1]}",
            field="images",
        )
    return found, unread


def begins_as_picture(path: Path) -> bool:
    """Whether the beginning of a file is that of a picture. A file that is none is named in the
    log, once.
    """
    found = path.stat()
    return _begins(path, found.st_size, found.st_mtime_ns)


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
    height, width = size
    with opened(path, (2 * width, 2 * height)) as image:
        return covering(image, size, sharp=sharp)


def read_pixels(path: Path, channels: int) -> NDArray[np.uint8]:
    """(channels, height, width): every pixel of the picture in a file.

    Args:
        path: the file.
        channels: 1 for shades of grey, 3 for red, green and blue.

    Raises:
        InvalidSpec: if the file is no picture.
    """
    with opened(path) as image:
        return pixels_of(image, channels)


def covering(
    image: Image.Image, size: tuple[int, int], *, sharp: bool = False
) -> NDArray[np.uint8]:
    """(3, height, width) of a picture, turned, scaled and cropped as by `read_picture`."""
    from PIL import Image, ImageOps

    filter_ = Image.Resampling.LANCZOS if sharp else Image.Resampling.BILINEAR
    shown = ImageOps.fit(in_colours(image, 3), (size[1], size[0]), filter_)
    return np.array(shown).transpose(2, 0, 1)


def pixels_of(image: Image.Image, channels: int) -> NDArray[np.uint8]:
    """(channels, height, width): every pixel of a picture, turned as its EXIF orientation says."""
    pixels = np.array(in_colours(image, channels))
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)


@contextmanager
def opened(path: Path, draft: tuple[int, int] | None = None) -> Iterator[Image.Image]:
    """The picture in a file, of which only the beginning is read.

    Args:
        path: the file.
        draft: (width, height) of which a JPEG may be decoded at a fraction of its size.

    Raises:
        InvalidSpec: if the file is no picture, also while it is used inside the context.
    """
    from PIL import Image

    try:
        with Image.open(path) as image:
            if draft is not None:
                image.draft("RGB", draft)
            if is_deep(image):
                _say_deep(path)
            yield image
    except InvalidSpec as error:
        raise _unreadable(path, error.message) from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise _unreadable(path, what_is_at(path) or str(error)) from error


@lru_cache(maxsize=2**17)
def _begins(path: Path, size: int, changed: int) -> bool:
    """See `begins_as_picture`; `size` and `changed` make a changed file another one."""
    del size, changed
    try:
        with opened(path):
            return True
    except InvalidSpec as error:
        log.warning("images: left out: %s", error.message)
        return False


def _unreadable(path: Path, why: str) -> InvalidSpec:
    return InvalidSpec(
        f"the image {os.fspath(path)!r} cannot be read ({why}); remove it from the folder",
        field="images",
    )


@lru_cache(maxsize=1024)
def _say_deep(path: Path) -> None:
    """Log, once for a file, that its values are scaled."""
    log.warning("%s has more than 8 bits a value; it is scaled to 8", path)
