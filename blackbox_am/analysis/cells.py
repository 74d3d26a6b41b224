"""Division of a stimulus into cells: squares of an image, segments of a series, features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from blackbox_am.core.stimuli import kind_of
from blackbox_am.core.types import FloatArray
from blackbox_am.errors import InvalidSpec, ShapeMismatch


def places_of(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of the places of a stimulus, which all its channels share: (height, width) of an
    image (channels, height, width), (time,) of a series (channels, time), (D,) of a table row.
    """
    if len(shape) > 2 or kind_of(shape) == "series":
        return shape[1:]
    return shape


@dataclass(frozen=True)
class Cells:
    """Cells of a stimulus.

    Attributes:
        labels: (*places) int64, the number of the cell of each place, from 0 without a gap.
        stimulus_shape: shape of one stimulus, the last axes of which are the places.
    """

    labels: NDArray[np.int64]
    stimulus_shape: tuple[int, ...]

    @classmethod
    def grid(cls, shape: tuple[int, ...], cells: int) -> Cells:
        """At most `cells` equal cells in each direction, for stimuli of `shape`.

        Raises:
            InvalidSpec: for fewer than 1 cell.
        """
        if cells < 1:
            raise InvalidSpec(f"cells: expected 1 or more in each direction, got {cells}")
        places = places_of(shape)
        labels = np.zeros(places, np.int64)
        for axis, length in enumerate(places):
            along = min(cells, length)
            number = np.arange(length) * along // length
            labels = labels * along + np.expand_dims(
                number, [a for a in range(len(places)) if a != axis]
            )
        return cls(labels, shape)

    @classmethod
    def given(cls, shape: tuple[int, ...], labels: Any) -> Cells:
        """Cells such as superpixels, which the caller found by other means.

        Args:
            shape: of one stimulus.
            labels: (*places) whole numbers; equal numbers are one cell.

        Raises:
            ShapeMismatch: if the labels have another shape than the places.
        """
        found = np.asarray(labels)
        if found.shape != places_of(shape):
            raise ShapeMismatch(
                f"cells: expected labels of shape {places_of(shape)}, as the stimulus has places, "
                f"got {found.shape}",
                field="cells",
            )
        _, numbers = np.unique(found, return_inverse=True)
        return cls(numbers.reshape(found.shape).astype(np.int64), shape)

    @classmethod
    def of(cls, shape: tuple[int, ...], cells: int | NDArray[Any]) -> Cells:
        """`grid` for a number, `given` for labels."""
        return cls.grid(shape, cells) if isinstance(cells, int) else cls.given(shape, cells)

    @property
    def count(self) -> int:
        """Number of cells."""
        return int(self.labels.max()) + 1

    def spread(self, values: FloatArray) -> FloatArray:
        """(*places) the value of each place's cell, from values (cells,)."""
        return np.asarray(values)[self.labels]

    def masks(self, values: torch.Tensor) -> torch.Tensor:
        """(N, 1.., *places): values (N, cells) as masks that broadcast over channels."""
        spread = values[:, torch.from_numpy(self.labels)]
        missing = len(self.stimulus_shape) - self.labels.ndim
        return spread.reshape(len(values), *(1,) * missing, *self.labels.shape)
