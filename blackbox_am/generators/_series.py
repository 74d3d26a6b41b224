"""Training series of generators, and their roughness."""

from __future__ import annotations

from typing import Any

import torch

from blackbox_am.errors import InvalidSpec
from blackbox_am.generators._stimuli import stimuli_of


def training_series(source: Any, array: str, shape: tuple[int, ...]) -> torch.Tensor:
    """(N, C, T) float64 series of the parameter `match`.

    Args:
        source: as of `stimuli_of`.
        array: name of the array, in a file with several arrays.
        shape: (C, T), which each series must have.

    Raises:
        NotFound: if the file does not exist.
        InvalidSpec: if the file cannot be read, or for series of another shape.
    """
    series = torch.from_numpy(stimuli_of("match", source, array)).double()
    if series.shape[1:] != shape:
        raise InvalidSpec(
            f"match: expected series of shape {shape}, got {tuple(series.shape[1:])}",
            field="match",
        )
    return series


def roughness(series: torch.Tensor) -> torch.Tensor:
    """(): the mean squared first difference of series (..., T) along time."""
    return series.diff(dim=-1).square().mean()
