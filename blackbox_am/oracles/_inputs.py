"""Checks of the parameters that an operator gives for a model, and the normalisation of stimuli."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from blackbox_am.core.units import Unit
from blackbox_am.errors import InvalidInput, InvalidSpec


def checked_shape(shape: Sequence[int]) -> tuple[int, ...]:
    """`shape` as a tuple.

    Raises:
        InvalidSpec: if `shape` is not the shape of a stimulus.
    """
    try:
        # Integers of any type, numpy's included.
        lengths = tuple(operator.index(length) for length in shape)
    except TypeError:
        lengths = ()
    if not lengths or any(length < 1 for length in lengths):
        raise InvalidSpec(
            "stimulus_shape: expected the shape of one stimulus, such as (3, 32, 32), "
            f"got {shape!r}",
            field="stimulus_shape",
        )
    return lengths


def checked_numbers(field: str, value: Any) -> tuple[float, ...]:
    """One number or a row of numbers as a tuple: floats, lists, arrays and tensors.

    An array with several axes is accepted if at most one axis is longer than 1, as in (3, 1, 1).

    Raises:
        InvalidSpec: for anything else, or numbers that are not finite.
    """
    values = value.detach().cpu() if isinstance(value, torch.Tensor) else value
    try:
        array = np.asarray(values, np.float64)
    except (TypeError, ValueError, RuntimeError):
        array = np.full(1, np.nan)
    row = array.size in (*array.shape, 1)
    if not row or not np.isfinite(array).all():
        raise InvalidSpec(
            f"{field}: expected one number, or one a channel, got {value!r}", field=field
        )
    return tuple(array.ravel().tolist())


def channel_axis(shape: Sequence[int | None]) -> int:
    """The channel axis of stimuli of this shape.

    The first axis for images (channels, height, width) and series (channels, time). The second axis
    for clips (frames, channels, height, width), and only for clips.
    """
    return 1 if len(shape) == 4 else 0


def check_normalisation(
    shape: tuple[int, ...], mean: tuple[float, ...], std: tuple[float, ...]
) -> None:
    """Checks that there is one number, or one number for each channel, or none.

    Raises:
        InvalidSpec: if the numbers do not fit, or a deviation is not positive.
    """
    channels = shape[channel_axis(shape)]
    for field, numbers in (("mean", mean), ("std", std)):
        if len(numbers) not in (0, 1, channels, shape[0]):
            raise InvalidSpec(
                f"{field}: expected 1 or {channels} numbers, one a channel of stimuli of "
                f"shape {shape}, got {len(numbers)}",
                field=field,
            )
    if any(not deviation > 0 for deviation in std):
        raise InvalidSpec(f"std: expected positive numbers, got {std}", field="std")


def by_channel(numbers: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
    """One number, or one number for each channel, in a shape that broadcasts to stimuli (N,
    *shape).

    The count of numbers distinguishes volumes (channels, depth, height, width) from clips. If both
    fit, the stimulus is treated as a clip.
    """
    axis = channel_axis(shape)
    if len(numbers) != shape[axis]:
        axis = 0
    return numbers.reshape(-1, *(1 for _ in shape[axis + 1 :]))


def normalised(
    stimuli: torch.Tensor, mean: tuple[float, ...], std: tuple[float, ...]
) -> torch.Tensor:
    """(stimuli - mean) / std, for stimuli (N, *shape): in float64 for float64 stimuli, else in
    float32.
    """
    values = stimuli if stimuli.dtype == torch.float64 else stimuli.to(torch.float32)
    if not mean and not std:
        return values
    shift, scale = (
        by_channel(
            torch.tensor(numbers, device=values.device, dtype=values.dtype), stimuli.shape[1:]
        )
        for numbers in (mean or (0.0,), std or (1.0,))
    )
    return (values - shift) / scale


def check_positive(field: str, value: float | None) -> None:
    """Checks a number of rows, threads or seconds; None, for the default, passes.

    Raises:
        InvalidSpec: if the value is not above 0, or not finite.
    """
    if value is not None and not 0 < value < float("inf"):
        raise InvalidSpec(f"{field}: expected a positive number, got {value}", field=field)


def check_labels(labels: Sequence[str], units: int) -> None:
    """Checks that there is one label for each unit, or no label.

    Raises:
        InvalidSpec: with both counts in the message.
    """
    if labels and len(labels) != units:
        raise InvalidSpec(
            f"labels: expected {units}, one a unit of the answer, got {len(labels)}",
            field="labels",
        )


def is_layer_name(name: str) -> bool:
    """Whether units of a layer with this name can be addressed."""
    try:
        return Unit.parse(str(Unit(name))) == Unit(name)  # with quotes where it needs them
    except InvalidInput:
        return False
