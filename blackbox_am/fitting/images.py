"""Pictures of a folder, all made the same size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from blackbox_am.core.pictures import SUFFIXES, pictures, read_picture, read_pictures
from blackbox_am.core.pictures.files import covering
from blackbox_am.core.tensors import checksum
from blackbox_am.errors import InvalidInput, NotFound

Pixels = NDArray[np.uint8]

FEWEST = 4
"""Fewest pictures that a generator is fitted to."""
HELD_OUT = 0.1
MOST_HELD_OUT = 200
FEWEST_TO_SPLIT = 40


@dataclass(frozen=True)
class Images:
    """Pictures in memory.

    Attributes:
        pixels: (N, 3, size, size) uint8.
        skipped: files that could not be read.
    """

    pixels: torch.Tensor
    skipped: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def digest(self) -> str:
        """32 hexadecimal digits of all pixels."""
        return checksum(self.pixels.numpy()).hex()

    def split(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Pictures to fit, and pictures to measure the result on, uint8.

        Every tenth picture, 200 at most, is held out. Fewer than `FEWEST_TO_SPLIT` pictures are not
        split: both tensors are then all pictures.
        """
        count = len(self.pixels)
        if count < FEWEST_TO_SPLIT:
            return self.pixels, self.pixels
        held = torch.linspace(0, count - 1, min(round(HELD_OUT * count), MOST_HELD_OUT)).long()
        rest = torch.ones(count, dtype=torch.bool)
        rest[held] = False
        return self.pixels[rest], self.pixels[held]


def read_images(source: Path, size: int, on_message: Callable[[str], None]) -> Images:
    """Reads every picture in a folder and the folders in it, in the order of their names, or the
    pictures of a .npz or .npy file (`core.pictures.pictures`).

    A picture is turned as its EXIF orientation says, converted to red, green and blue, scaled so
    that its shorter side is `size`, and cut to its middle. A file that cannot be read is skipped,
    and `on_message` is told its name and the reason.

    Raises:
        NotFound: if the folder or file does not exist.
        InvalidInput: if it has too few pictures, or pictures whose range is not known.
    """
    if not source.exists():
        raise NotFound(f"images: there is no folder or file {str(source)!r}", field="images")
    if source.is_dir():
        found, skipped = _in_folder(source, size, on_message)
    else:
        found, skipped = _in_array(pictures(source), size), ()
    if len(found) < FEWEST:
        raise InvalidInput(
            f"images: expected {FEWEST} or more pictures ({', '.join(SUFFIXES)}) in "
            f"{str(source)!r}, found {len(found) + len(skipped)}, of which {len(skipped)} cannot "
            "be read",
            field="images",
        )
    return Images(torch.from_numpy(np.stack(found)), skipped)


def _in_folder(
    folder: Path, size: int, on_message: Callable[[str], None]
) -> tuple[list[Pixels], tuple[str, ...]]:
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    read = partial(read_picture, size=(size, size), sharp=True)
    found, unread = read_pictures(files, read)
    for path, why in unread:
        on_message(f"skipped {path}: {why}")
    return found, tuple(str(path) for path, _ in unread)


def _in_array(array: NDArray[Any], size: int) -> list[Pixels]:
    """(3, size, size) of each picture of an array."""
    if array.ndim != 4 or array.shape[1] not in (1, 3):
        raise InvalidInput(
            "images: expected pictures (N, channels, height, width) with 1 or 3 channels, got an "
            f"array of shape {array.shape}",
            field="images",
        )
    if array.dtype != np.uint8:
        array = np.rint(array * 255).astype(np.uint8)
    coloured = np.broadcast_to(array, (len(array), 3, *array.shape[2:])).transpose(0, 2, 3, 1)
    images = (Image.fromarray(np.ascontiguousarray(one)) for one in coloured)
    return [covering(image, (size, size), sharp=True) for image in images]


def as_stimuli(pixels: torch.Tensor) -> torch.Tensor:
    """float32 in [0, 1]."""
    return pixels.to(torch.float32) / 255
