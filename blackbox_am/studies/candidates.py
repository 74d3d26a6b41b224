"""What goes out to be measured, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray


@dataclass(frozen=True)
class Generation:
    """The open generation.

    Attributes:
        index: its number, from 0.
        targets: the active targets, ascending.
        latents: (len(targets), P, D), projected into the space.
        wanted: (len(targets), P) bool, which rows are to be measured: those that the optimizer
            asks for, as far as the budget goes.
    """

    index: int
    targets: tuple[int, ...]
    latents: torch.Tensor
    wanted: NDArray[np.bool_]


@dataclass(frozen=True)
class TellResult:
    """What became of some measurements."""

    accepted: int
    repeated: int
