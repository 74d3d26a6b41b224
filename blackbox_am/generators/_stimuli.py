"""Stimuli from files and arrays: training data of a generator, or its inputs."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blackbox_am.core.pictures import check_range
from blackbox_am.errors import InvalidSpec
from blackbox_am.generators._arrays import read_array
from blackbox_am.zoo import catalogue, loading

Array = NDArray[Any]

PROBES = "zoo:probe_images"


def stimuli_of(
    field: str, source: Any, array: str = "", *, channels_last: bool = False
) -> NDArray[np.float32]:
    """Stimuli (N, *stimulus), float32 in [0, 1].

    Args:
        field: the parameter that gives the source, for messages.
        source: `zoo:probe_images`, the path of a .npz, .npy or .safetensors file, or, in
            Python, an array. uint8 is divided by 255, and other numbers by an array `white` beside
            them in a .npz file.
        array: name of the array, in a file with several arrays.
        channels_last: whether entries are (height, width, channels); they become (channels, ...).

    Raises:
        NotFound: if the file does not exist.
        InvalidSpec: if the file cannot be read, or has no stimuli.
    """
    if _is_probes(source):
        values, channels_last = loading.probe_images()[0], True
    else:
        values = read_array(field, source, array, stimuli=True)
    if values.ndim < 2 or not values.size or values.dtype.kind not in "fu":
        raise InvalidSpec(
            f"{field}: expected stimuli, floating-point or uint8, one a row, got "
            f"{values.dtype.name} of shape {values.shape}",
            field=field,
        )
    values = np.moveaxis(values, -1, 1) if channels_last else values
    if check_range(values, field).dtype == np.uint8:
        values = values / np.float32(255)
    return np.ascontiguousarray(values, dtype=np.float32)


def stimuli_files(source: Any) -> Any:
    """The input that `stimuli_of` reads for `source`: files, or `source` itself if it is an
    array.
    """
    return tuple(catalogue.files("probe_images")) if _is_probes(source) else source


def _is_probes(source: Any) -> bool:
    return isinstance(source, str) and source == PROBES


def checksum(array: Array) -> str:
    """32 hexadecimal digits that depend on every value and the shape."""
    digest = hashlib.blake2b(f"{array.dtype.str}{array.shape}".encode(), digest_size=16)
    digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
