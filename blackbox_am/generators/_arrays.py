"""Arrays of a configuration, given as numbers or as files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blackbox_am.core.pictures import arrays_in, what_is_at, with_white
from blackbox_am.core.pictures.given import WHITE, white_in
from blackbox_am.errors import InvalidSpec, NotFound

Given = str | float | bool | tuple[Any, ...]
"""A number, nested lists, or the path of a file."""


def read_array(field: str, given: Any, name: str = "", *, stimuli: bool = False) -> NDArray[Any]:
    """The array of parameter `field`: numbers, nested lists, an array, or a file.

    From a file with several arrays, the array `name` is read; the default name is `field`. If it
    has `stimuli` and there is an array `white`, the value of white, it is divided by that. No code
    in a file is run.

    Raises:
        NotFound: if the file does not exist.
        InvalidSpec: if the file has another format or contains no numbers.
    """
    if isinstance(given, (str, Path)):
        array = _from_file(field, str(given), name, stimuli=stimuli)
    else:
        array = _as_array(field, given)
    if array.dtype.kind not in "biuf":
        raise InvalidSpec(f"{field}: expected numbers, got {array.dtype}", field=field)
    return array


def _as_array(field: str, given: Any) -> NDArray[Any]:
    try:
        return np.asarray(given)
    except (ValueError, TypeError) as error:
        raise InvalidSpec(
            f"{field}: expected lists of equal lengths, one in another: {error}", field=field
        ) from error


def _from_file(field: str, path: str, name: str, *, stimuli: bool) -> NDArray[Any]:
    readers: dict[str, Callable[[str, str], dict[str, NDArray[Any]]]] = {
        ".npy": arrays_in,
        ".npz": arrays_in,
        ".safetensors": _from_safetensors,
    }
    reader = readers.get(Path(path).suffix)
    if reader is None:
        raise InvalidSpec(
            f"{field}: expected numbers, or a file {', '.join(readers)}, got {path!r}",
            field=field,
        )
    arrays = reader(path, field)
    white = white_in(arrays.pop(WHITE)) if stimuli and WHITE in arrays else None
    found = _chosen(field, path, name, arrays)
    return found if white is None else with_white(found, white, field)


def _chosen(field: str, path: str, name: str, arrays: dict[str, NDArray[Any]]) -> NDArray[Any]:
    if len(arrays) == 1 and not name:
        return next(iter(arrays.values()))
    wanted = name or field
    if wanted not in arrays:
        raise InvalidSpec(
            f"{field}: expected one array in {path!r}, or one called {wanted!r}; "
            f"got {', '.join(sorted(arrays)) or 'none'}",
            field=field,
        )
    return arrays[wanted]


def _from_safetensors(path: str, field: str) -> dict[str, NDArray[Any]]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return load_file(path)
    except FileNotFoundError as error:
        raise NotFound(f"{field}: there is no file {path!r}", field=field) from error
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise InvalidSpec(
            f"{field}: cannot read {path!r}: {what_is_at(path) or error}", field=field
        ) from error
