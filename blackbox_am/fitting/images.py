"""Pictures of a folder, all made the same size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from blackbox_am.core.pictures import SUFFIXES, read_picture
from blackbox_am.core.tensors import checksum
from blackbox_am.errors import InvalidInput, InvalidSpec, NotFound

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


def read_images(folder: Path, size: int, on_message: Callable[[str], None]) -> Images:
    """Reads every picture in `folder` and the folders in it, in the order of their names.

    A picture is turned as its EXIF orientation says, converted to red, green and blue, scaled so
    that its shorter side is `size`, and cut to its middle. A file that cannot be read is skipped,
    and `on_message` is told its name and the reason.

    Raises:
        NotFound: if the folder does not exist.
        InvalidInput: if it has too few pictures.
    """
    if not folder.is_dir():
        raise NotFound(f"images: there is no folder {str(folder)!r}", field="images")
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    pixels: list[np.ndarray] = []
    skipped: list[str] = []
    for path in files:
        try:
            pixels.append(read_picture(path, (size, size), sharp=True))
        except InvalidSpec as error:
            skipped.append(str(path))
            on_message(f"skipped {path}: {error.message}")
    if len(pixels) < FEWEST:
        raise InvalidInput(
            f"images: expected {FEWEST} or more pictures ({', '.join(SUFFIXES)}) in "
            f"{str(folder)!r}, found {len(files)}, of which {len(skipped)} cannot be read",
            field="images",
        )
    whole = torch.from_numpy(np.stack(pixels))
    return Images(whole, tuple(skipped))


def as_stimuli(pixels: torch.Tensor) -> torch.Tensor:
    """float32 in [0, 1]."""
    return pixels.to(torch.float32) / 255
