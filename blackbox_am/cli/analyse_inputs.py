"""Stimuli and units that a command of `blackbox-am analyse` names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from blackbox_am.core.pictures import array_in, arrays_in, pictures, read_picture
from blackbox_am.core.types import OracleInfo
from blackbox_am.core.units import Unit, find_layer
from blackbox_am.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from blackbox_am.catalogue import Catalogue


def stimulus_of(text: str, catalogue: Catalogue, shape: tuple[int, ...]) -> Any:
    """(*shape) the stimulus that `text` names: a file, or `SET:NUMBER`.

    Raises:
        NotFound: for a file or a set that does not exist.
        InvalidInput: for a number outside the set, or a file of another kind.
    """
    path = Path(text)
    if path.suffix in (".npy", ".npz"):
        return _one(pictures(path, shape=shape, field="--image"), text)
    if path.is_file():
        if len(shape) != 3 or shape[0] not in (1, 3):
            raise InvalidInput(
                f"--image {text}: the model's stimuli have shape {shape} and are no pictures; give "
                "a .npy file of one stimulus"
            )
        import torch

        from blackbox_am.core.images import fitted

        pixels = torch.from_numpy(read_picture(path, (shape[1], shape[2]))).float() / 255
        return fitted(pixels[None], shape)[0]
    name, colon, number = text.rpartition(":")
    if not colon or not number.isdecimal():
        raise NotFound(
            f"--image {text}: expected a file that exists, or a set and a number, such as "
            "shipped:12"
        )
    images = catalogue.images(name)
    if int(number) >= len(images):
        raise InvalidInput(f"--image {text}: the set has images 0 to {len(images) - 1:,}")
    return images.stimuli(shape, [int(number)])[0]


def _one(stimuli: NDArray[Any], text: str) -> NDArray[Any]:
    """The only one of some stimuli, floating-point in [0, 1]."""
    if len(stimuli) != 1:
        raise InvalidInput(f"--image {text}: expected one stimulus, got {stimuli.shape}")
    found: NDArray[Any] = stimuli[0]
    return found / np.float32(255) if found.dtype == np.uint8 else found


def images_of(text: str, catalogue: Catalogue, shape: tuple[int, ...]) -> Any:
    """(N, *shape) the images of a set of the catalogue, or of a folder.

    Raises:
        NotFound: for neither.
        ShapeMismatch: if no stimuli of this shape can be made.
    """
    if text not in catalogue.image_names() and Path(text).is_dir():
        from blackbox_am.catalogue import ImagesFolder

        folder = ImagesFolder(text)
        return folder.stimuli(shape, range(len(folder)))
    images = catalogue.images(text)
    return images.stimuli(shape, range(len(images)))


def units_of(info: OracleInfo, given: Sequence[str], layer: str | None, most: int) -> list[Unit]:
    """The units that are named one by one, and the first `most` of a layer.

    Raises:
        InvalidInput: without any.
        UnknownUnit: for a layer or unit that does not exist.
    """
    units = [Unit.parse(text) for text in given]
    if layer is not None:
        count = find_layer(info, Unit(layer)).units
        units += [Unit(layer, index) for index in range(min(most, count))]
    if not units:
        raise InvalidInput("name a unit with --unit, or a layer with --layer")
    return units


def arrays_of(path: Path, names: Sequence[str]) -> dict[str, NDArray[Any]]:
    """The arrays `names` of a .npz file.

    Raises:
        NotFound: if the file does not exist.
        InvalidInput: if it is no .npz file, or lacks an array.
    """
    found = arrays_in(path, str(path))
    missing = [name for name in names if name not in found]
    if missing:
        has = ", ".join(filter(None, found)) or "none"
        raise InvalidInput(
            f"{path}: expected arrays {', '.join(names)}; it lacks {', '.join(missing)} and has "
            f"{has}"
        )
    return {name: found[name] for name in names}


def examples_of(text: str, catalogue: Catalogue, shape: tuple[int, ...]) -> Any:
    """(N, *shape) examples: the array of a .npy file, or `images_of`.

    Raises:
        NotFound, InvalidInput, ShapeMismatch: as `array_in` and `images_of`.
    """
    path = Path(text)
    return array_in(path, text) if path.suffix == ".npy" else images_of(text, catalogue, shape)
