"""Inputs to attack: a folder of pictures, a file of arrays, or an array."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blackbox_am.attacks.results import float_stimuli
from blackbox_am.core.pictures import (
    Pictures,
    arrays_in,
    pictures,
    pictures_in,
    read_pictures,
    read_pixels,
)
from blackbox_am.core.pictures.given import chosen, finished
from blackbox_am.errors import InvalidInput, InvalidSpec, NotFound, ShapeMismatch

Array = NDArray[Any]

HEADERS = ("label", "labels", "class", "target", "targets", "y")
"""First lines of a file of labels that are no label, in small letters."""


@dataclass(frozen=True)
class Given:
    """The inputs of an attack.

    Attributes:
        stimuli: (N, *input) uint8 or float32 in [0, 1].
        names: of the inputs.
        labels: (N,) labels that stand beside the inputs in a file; None if there are none.
        unread: (name, reason) of inputs that could not be read.
        features: names of the values of an input that is a row of a table; empty if unknown.
    """

    stimuli: Array
    names: tuple[str, ...]
    labels: tuple[Any, ...] | None = None
    unread: tuple[tuple[str, str], ...] = ()
    features: tuple[str, ...] = ()


def given_inputs(source: Pictures, shape: tuple[int, ...] | None = None) -> Given:
    """The inputs in `source`.

    Args:
        source: a folder of pictures; a .npz file with an array `images`, `inputs` or `x` and
            perhaps one `labels` or `y`, and names `features` of the values of a row; a .npy
            file; an array; an image of PIL or a list of them; or a table with `columns`. Arrays
            are uint8, or floats in [0, 1], or say what is white (`core.pictures.pictures`);
            images may have their channels last.
        shape: of one input of the model; None if the inputs themselves say it.

    Raises:
        NotFound: if the folder or file does not exist.
        InvalidInput: if there are no inputs, or inputs outside [0, 1].
        ShapeMismatch: for inputs of another shape.
    """
    if not isinstance(source, (str, os.PathLike)):
        # A model whose inputs are unknown may take the channels last.
        own = tuple(source.shape[1:]) if hasattr(source, "shape") else None
        array = pictures(source, shape=shape or own)
        return _from_array(array, shape, None, getattr(source, "columns", ()))
    path = Path(source)
    if path.is_dir():
        return _from_folder(path, shape)
    if not path.is_file():
        raise NotFound(f"images: there is no folder or file {str(path)!r}", field="images")
    if path.suffix in (".npz", ".npy"):
        arrays = arrays_in(path, "images")
        labels = next((arrays[name] for name in ("labels", "y") if name in arrays), None)
        features = arrays.get("features", ())
        found, white = chosen(arrays, "images")
        found = finished(found, shape or tuple(found.shape[1:]), white, "images")
        return _from_array(found, shape, labels, features)
    raise InvalidInput(
        f"images: expected a folder of pictures, a .npz or a .npy file, got {str(path)!r}",
        field="images",
    )


def _from_folder(folder: Path, shape: tuple[int, ...] | None) -> Given:
    shape = _first_shape(folder) if shape is None else shape
    if len(shape) != 3 or shape[0] not in (1, 3):
        raise ShapeMismatch(
            f"images: pictures are inputs of shape (1 or 3, height, width), and the model takes "
            f"{shape}; give the inputs as a .npz or .npy file",
            field="images",
        )
    files = pictures_in(folder)
    found, unread = read_pictures(files, partial(read_pixels, channels=shape[0]))
    reasons = dict(unread)
    names = tuple(path.name for path in files if path not in reasons)
    for image, name in zip(found, names, strict=True):
        if image.shape != shape:
            raise ShapeMismatch(
                f"images: expected {shape[2]} x {shape[1]} pixels, as the model takes, got "
                f"{image.shape[2]} x {image.shape[1]} in {name}; scale the pictures first, as "
                f"blackbox_am.pictures(folder, size=({shape[1]}, {shape[2]})) does",
                field="images",
            )
    return Given(np.stack(found), names, unread=tuple((path.name, why) for path, why in unread))


def _first_shape(folder: Path) -> tuple[int, ...]:
    """The shape of the first picture that can be read; of a colour picture if there is none."""
    for path in pictures_in(folder):
        with suppress(InvalidSpec):
            return tuple(read_pixels(path, 3).shape)
    return (3, 1, 1)


def _from_array(
    array: Array,
    shape: tuple[int, ...] | None,
    labels: Array | None,
    features: Iterable[Any] = (),
) -> Given:
    shape = tuple(array.shape[1:]) if shape is None else shape
    if array.ndim != len(shape) + 1 or tuple(array.shape[1:]) != shape or not len(array):
        raise ShapeMismatch(
            f"images: expected one input or more of the model's shape, (N, "
            f"{', '.join(map(str, shape))}), got {array.shape}",
            field="images",
        )
    if len(shape) == 3 and shape[0] not in (1, 3) and shape[2] in (1, 3):
        raise ShapeMismatch(
            f"images: expected (channels, height, width), got the shape {shape}, which has the "
            "channels last; give a model that takes channels first, such as a function that "
            "exchanges the axes",
            field="images",
        )
    given = None if labels is None else tuple(np.asarray(labels).reshape(-1).tolist())
    named = tuple(map(str, features))
    if named and shape != (len(named),):
        raise InvalidInput(
            f"features: expected one name for each value of an input of shape {shape}, got "
            f"{len(named)}",
            field="features",
        )
    names = tuple(f"{index}" for index in range(len(array)))
    return Given(array, names, given, features=named)


def as_pixels(given: Given) -> Given:
    """The same inputs as uint8 if they are pictures: images of which every value is a whole number
    of 255ths. Other inputs are unchanged.
    """
    if given.stimuli.dtype == np.uint8 or given.stimuli.ndim != 4:
        return given
    steps = given.stimuli.astype(np.float64) * 255
    pixels = np.rint(steps)
    if not bool((np.abs(steps - pixels) < 1e-3).all()):
        return given
    return replace(given, stimuli=pixels.astype(np.uint8))


def as_numbers(given: Given) -> Given:
    """The same inputs as float32 in [0, 1]."""
    return replace(given, stimuli=float_stimuli(given.stimuli))


def labels_in(path: str | os.PathLike[str], given: Given, field: str = "labels") -> list[str]:
    """A label for each input, from a text file.

    Args:
        path: a file with one label in a line, in the order of the inputs (those that could not be
            read have lines too, or none has); or with a file name and its label in a line,
            separated by a comma. A header is skipped.
        given: the inputs.
        field: what the labels are, for messages: `labels` or `targets`.

    Raises:
        NotFound: if the file does not exist.
        InvalidInput: if a line cannot be read, or an input has no label.
    """
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            lines = [line for line in csv.reader(file) if line and any(line)]
    except FileNotFoundError as error:
        raise NotFound(f"{field}: there is no file {str(path)!r}", field=field) from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidInput(f"{field}: {str(path)!r} cannot be read: {error}", field=field) from None
    if all(len(line) == 1 for line in lines):
        return _by_order([line[0].strip() for line in lines], given)
    wrong = next((line for line in lines if len(line) != 2), None)
    if wrong is not None:
        raise InvalidInput(
            f"{field}: expected one label in a line, or a name and its label, got "
            f"{','.join(wrong)!r} in {str(path)!r}",
            field=field,
        )
    known = {name.strip(): label.strip() for name, label in lines}
    missing = [name for name in given.names if name not in known]
    if missing:
        raise InvalidInput(
            f"{field}: {str(path)!r} has no label for {missing[0]}"
            + (f" and {len(missing) - 1} other inputs" if len(missing) > 1 else ""),
            field=field,
        )
    return [known[name] for name in given.names]


def _by_order(labels: list[str], given: Given) -> list[str]:
    """The labels of the inputs that could be read; another number of them is refused later."""
    every = sorted([*given.names, *(name for name, _ in given.unread)])
    if len(labels) - 1 in (len(given.names), len(every)) and labels[0].lower() in HEADERS:
        labels = labels[1:]
    if not given.unread or len(labels) != len(every):
        return labels
    by_name = dict(zip(every, labels, strict=True))
    return [by_name[name] for name in given.names]
