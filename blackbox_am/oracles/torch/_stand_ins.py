"""Placeholder modules for the layers of a model that is only known as a program."""

from __future__ import annotations

import torch
from torch import nn


class StandIn(nn.Module):
    """A placeholder for a module inside a program: returns its input, and accepts forward hooks.

    Attributes:
        original_name: class of the original module, with its package if known.
        composite: whether the original module had child modules.
        heads: whether the input is that of attention heads, (N, heads, tokens, dim), instead of a
            module's output.
    """

    def __init__(self, original_name: str, *, composite: bool = False, heads: bool = False) -> None:
        super().__init__()
        self.original_name = original_name
        self.composite = composite
        self.heads = heads

    def forward(self, value: torch.Tensor) -> torch.Tensor:
        return value


class Program(nn.Module):
    """A model that consists of a program; its inner values pass through placeholder modules.

    Attributes:
        stand_ins: placeholders by the dotted name of the original module, in the order of the
            computation.
        rows: smallest and largest number of stimuli in one batch; None for any number.
    """

    def __init__(self, rows: tuple[int, int | None] = (1, None)) -> None:
        super().__init__()
        self.stand_ins: dict[str, StandIn] = {}
        self.rows = rows
