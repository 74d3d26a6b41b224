"""Sets of natural images, from a folder, from an array, or shipped."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from blackbox_am.core.baselines import check_picture
from blackbox_am.core.images import fitted
from blackbox_am.core.pictures import (
    begins_as_picture,
    check_range,
    pictures_in,
    read_picture,
    read_pictures,
    read_pixels,
)
from blackbox_am.errors import InvalidSpec, ShapeMismatch
from blackbox_am.zoo.loading import probe_images

log = logging.getLogger(__name__)

ZOO = "zoo:probe_images"


class Images(ABC):
    """A set of natural images, from which stimuli of any shape are made."""

    @abstractmethod
    def __len__(self) -> int:
        """Number of images.

        Raises:
            InvalidSpec: if the set cannot be read or is empty.
        """

    @abstractmethod
    def stimuli(self, shape: tuple[int, ...], which: Sequence[int]) -> torch.Tensor:
        """The images at the positions `which` as stimuli.

        Args:
            shape: of one stimulus.
            which: positions in the set.

        Returns:
            (len(which), *shape) float32 in [0, 1].

        Raises:
            InvalidSpec: if an image cannot be read.
            ShapeMismatch: if no stimuli of this shape can be made.
        """


@dataclass(frozen=True)
class ImagesFolder(Images):
    """The image files of a folder, in the order of their names; its subfolders are not read.

    A file that is no picture is left out and named in the log. For a picture that turns out to be
    damaged when its pixels are read, the next one that can be read stands in.

    Attributes:
        folder: path of the folder.
    """

    folder: str | Path

    def __len__(self) -> int:
        return len(self._files())

    def stimuli(self, shape: tuple[int, ...], which: Sequence[int]) -> torch.Tensor:
        """See `Images.stimuli`."""
        check_picture(shape, f"the images of {self.folder}")
        files = self._files()
        pixels = np.stack([self._whole(files, index, (shape[1], shape[2])) for index in which])
        return fitted(torch.from_numpy(pixels).float() / 255, shape)

    def _files(self) -> list[Path]:
        files = pictures_in(self.folder)
        found = [path for path in files if begins_as_picture(path)]
        if not found:
            read_pictures(files, partial(read_pixels, channels=3))
        return found

    @staticmethod
    def _whole(files: Sequence[Path], index: int, size: tuple[int, int]) -> NDArray[np.uint8]:
        """The picture at `index`, or the next that can be read."""
        ordered = [*files[index:], *files[:index]]
        reasons = []
        for path in ordered:
            try:
                return read_picture(path, size)
            except InvalidSpec as error:
                reasons.append(error)
                log.warning("images: the next picture stands in: %s", error.message)
        raise reasons[0]


@dataclass(frozen=True, eq=False)
class ImagesGiven(Images):
    """Images, or stimuli of any kind, as an array.

    Attributes:
        array: (N, channels, height, width) images, or (N, *stimulus) stimuli; uint8 in 0..255, or
            float in [0, 1].

    Raises:
        ShapeMismatch: for another shape, or values that are no numbers.
        InvalidSpec: for another type of numbers, or values outside [0, 1].
    """

    array: NDArray[Any]

    def __post_init__(self) -> None:
        array = self.array
        if array.ndim < 2 or not array.size or array.dtype.kind not in "uf":
            raise ShapeMismatch(
                "images: expected one image or more, (N, channels, height, width) uint8 or "
                f"float32, got {array.dtype.name} of shape {array.shape}",
                field="artifact",
            )
        try:
            check_range(array, "images")
        except InvalidSpec as error:
            error.field = "artifact"
            raise

    def __len__(self) -> int:
        return len(self.array)

    def stimuli(self, shape: tuple[int, ...], which: Sequence[int]) -> torch.Tensor:
        """See `Images.stimuli`."""
        chosen = torch.from_numpy(np.ascontiguousarray(self.array[list(which)]))
        values = chosen.float() / 255 if chosen.dtype == torch.uint8 else chosen.float()
        if tuple(values.shape[1:]) == tuple(shape):
            return values
        if values.ndim != 4 or values.shape[1] not in (1, 3):
            raise ShapeMismatch(
                f"images: expected (N, channels, height, width) with 1 or 3 channels, or stimuli "
                f"(N, *{tuple(shape)}), got shape {self.array.shape}",
                field="artifact",
            )
        check_picture(shape, "these images")
        return fitted(values, shape)


def images_of(name: str, entry: Any) -> Images:
    """The set of images in the configuration table `[images.NAME]`.

    Raises:
        InvalidSpec: for a table without a folder.
    """
    if entry == {"data": ZOO}:
        return _Shipped()
    if not isinstance(entry, dict) or set(entry) != {"folder"} or not entry["folder"]:
        raise InvalidSpec(
            f'[images.{name}] must be a table with a folder, such as folder = "/data/photos"',
            field=f"images.{name}",
        )
    if not isinstance(entry["folder"], (str, Path)):
        raise InvalidSpec(
            f"[images.{name}]: expected folder to be a path, got {entry['folder']!r}",
            field=f"images.{name}.folder",
        )
    return ImagesFolder(entry["folder"])


class _Shipped(Images):
    """The natural images of the zoo."""

    def __len__(self) -> int:
        return len(probe_images()[0])

    def stimuli(self, shape: tuple[int, ...], which: Sequence[int]) -> torch.Tensor:
        """See `Images.stimuli`."""
        images = probe_images()[0][list(which)].transpose(0, 3, 1, 2)
        check_picture(shape, "the shipped images")
        return fitted(torch.from_numpy(np.ascontiguousarray(images)).float() / 255, shape)
