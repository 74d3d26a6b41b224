"""Pictures from whatever holds them, as one array."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from blackbox_am.core.pictures.arrays import picture_array, with_white
from blackbox_am.core.pictures.files import (
    Read,
    covering,
    pictures_in,
    pixels_of,
    read_picture,
    read_pictures,
    read_pixels,
)
from blackbox_am.core.pictures.numpy_files import arrays_in
from blackbox_am.errors import InvalidSpec, NotFound, ShapeMismatch

if TYPE_CHECKING:
    from PIL import Image

log = logging.getLogger(__name__)

Array = NDArray[Any]
Pictures: TypeAlias = "str | os.PathLike[str] | NDArray[Any] | Sequence[Any] | Image.Image"
"""A folder, a file, an image of PIL, an array, or a list of images or arrays."""

NAMES = ("images", "inputs", "x")
"""Names of the array of pictures in a .npz file, in the order in which they are looked for."""
WHITE = "white"
"""Name of the value of white in a .npz file."""


def pictures(
    source: Pictures,
    *,
    size: tuple[int, int] | None = None,
    white: float | None = None,
    shape: tuple[int, ...] | None = None,
    field: str = "images",
) -> Array:
    """Pictures as an array (N, channels, height, width), as every search and attack takes it.

    Files are turned as their EXIF orientation says; CMYK, palettes and shades of grey become red,
    green and blue; what lies behind transparent pixels is white; values of 16 bits are scaled to 8.

    Args:
        source: a folder of pictures or one picture file, a .npy or .npz file (its array `images`,
            `inputs` or `x`, and its number `white`), an image of PIL or a list of them, an array
            or a list of arrays; arrays of pictures may have their channels last. An array of
            stimuli of another kind, such as series (N, channels, samples), stays as it is.
        size: (height, width) that pictures of files and of PIL are scaled to cover and cropped to;
            None if all have one size.
        white: value of white in an array, such as 4095 for 12 bits; None for uint8, or floats in
            [0, 1].
        shape: of one stimulus, if it is known; it decides where the channels of an array stand,
            and whether pictures are colours or shades of grey.
        field: the parameter that gives the pictures, for messages.

    Returns:
        uint8, or float32 in [0, 1]. A file in a folder that cannot be read is left out and named in
        the log.

    Raises:
        NotFound: if there is no such folder or file.
        InvalidSpec: if nothing can be read, or for values whose range is not known.
        ShapeMismatch: for pictures of several sizes without `size`.
    """
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        if path.suffix in (".npy", ".npz") and not path.is_dir():
            array, stated = chosen(arrays_in(path, field), field)
            return finished(array, shape, stated if white is None else white, field)
        return _from_files(path, size, shape, field)
    listed = list(source) if isinstance(source, (list, tuple)) else [source]
    if listed and all(map(_is_picture, listed)):
        return _from_pil(listed, size, shape, field)
    return finished(_as_array(source, field), shape, white, field)


def chosen(arrays: dict[str, Array], field: str) -> tuple[Array, float | None]:
    """The pictures among the arrays of a .npy or .npz file, and the value of white; None if the
    file does not say it.

    Raises:
        InvalidSpec: if no array has one of the `NAMES`, or for a white that is not one number.
    """
    found = next((arrays[name] for name in ("", *NAMES) if name in arrays), None)
    if found is None:
        raise InvalidSpec(
            f"{field}: expected an array {', '.join(NAMES[:-1])} or {NAMES[-1]}, got "
            f"{', '.join(arrays) or 'none'}",
            field=field,
        )
    return found, white_in(arrays[WHITE]) if WHITE in arrays else None


def white_in(value: Array) -> float:
    """The number in an array of one number.

    Raises:
        InvalidSpec: for any other array.
    """
    if value.size != 1 or value.dtype.kind not in "uif":
        raise InvalidSpec(
            f"white: expected one number, got {value.dtype.name} of shape {value.shape}",
            field="white",
        )
    return float(value.reshape(-1)[0])


def finished(array: Array, shape: tuple[int, ...] | None, white: float | None, field: str) -> Array:
    """An array as `pictures` returns it.

    Raises:
        InvalidSpec: for values whose range is not known.
    """
    array = with_white(picture_array(array, shape), white, field)
    return np.ascontiguousarray(array, np.uint8 if array.dtype == np.uint8 else np.float32)


def _from_files(
    path: Path, size: tuple[int, int] | None, shape: tuple[int, ...] | None, field: str
) -> Array:
    if not path.exists():
        raise NotFound(f"{field}: there is no folder or file {str(path)!r}", field=field)
    files = pictures_in(path) if path.is_dir() else [path]
    read: Read = partial(read_pixels, channels=_channels(shape))
    if size is not None:
        read = partial(read_picture, size=size)
    found, unread = read_pictures(files, read)
    for _, why in unread:
        log.warning("%s: left out: %s", field, why)
    return _stacked(found, field)


def _from_pil(
    images: list[Any], size: tuple[int, int] | None, shape: tuple[int, ...] | None, field: str
) -> Array:
    if size is not None:
        return _stacked([covering(image, size) for image in images], field)
    return _stacked([pixels_of(image, _channels(shape)) for image in images], field)


def _channels(shape: tuple[int, ...] | None) -> int:
    return 1 if shape is not None and shape[0] == 1 else 3


def _stacked(found: list[NDArray[np.uint8]], field: str) -> Array:
    sizes = sorted({f"{one.shape[2]} x {one.shape[1]}" for one in found})
    if len(sizes) > 1:
        raise ShapeMismatch(
            f"{field}: expected pictures of one size, got {', '.join(sizes[:3])} pixels; give the "
            "size that they are scaled to, size=(height, width)",
            field=field,
        )
    return np.stack(found)


def _as_array(source: Any, field: str) -> Array:
    if hasattr(source, "detach"):  # a tensor, without an import of torch
        source = source.detach().cpu()
    try:
        array = np.stack(list(map(np.asarray, source))) if _is_list(source) else np.asarray(source)
    except (ValueError, TypeError) as error:
        raise InvalidSpec(
            f"{field}: expected pictures of one size, or arrays of one shape: {error}", field=field
        ) from error
    if not array.ndim:
        raise InvalidSpec(
            f"{field}: expected a folder, a file, an image of PIL, an array or a list of them, got "
            f"{type(source).__name__}",
            field=field,
        )
    return array


def _is_list(source: Any) -> bool:
    return isinstance(source, (list, tuple)) and bool(source)


def _is_picture(value: Any) -> bool:
    """Whether a value is an image of PIL; nobody has one who has not imported PIL."""
    module = sys.modules.get("PIL.Image")
    return module is not None and isinstance(value, module.Image)
