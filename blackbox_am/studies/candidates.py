"""What goes out to be measured, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Generation:
    """The open generation.

    Attributes:
        index: its number, from 0.
        targets: the active targets, ascending.
        latents: (len(targets), P, D), projected into the space.
        rows: how many of the P rows are wanted; fewer than P where the budget ends.
    """

    index: int
    targets: tuple[int, ...]
    latents: torch.Tensor
    rows: int


@dataclass(frozen=True)
class TellResult:
    """What became of some measurements."""

    accepted: int
    repeated: int
