"""Modules of a model that is known by its program alone: what hooks can be put on."""

from __future__ import annotations

import torch
from torch import nn


class StandIn(nn.Module):
    """Hears the output of a module that is no Python object any more. Gives it back unchanged.

    Attributes:
        original_name: the class of the module it stands for, with its package where it is known.
        composite: whether that module had modules inside.
        heads: whether it hears attention heads, (N, heads, tokens, dim), in place of an output.
    """

    def __init__(self, original_name: str, *, composite: bool = False, heads: bool = False) -> None:
        super().__init__()
        self.original_name = original_name
        self.composite = composite
        self.heads = heads

    def forward(self, value: torch.Tensor) -> torch.Tensor:
        return value


class Program(nn.Module):
    """A model made of a program whose inner values are shown to stand-ins.

    Attributes:
        stand_ins: by the dotted name that the module had, in the order of the computation.
        rows: the fewest and the most stimuli that it takes at once; None for any number.
    """

    def __init__(self, rows: tuple[int, int | None] = (1, None)) -> None:
        super().__init__()
        self.stand_ins: dict[str, StandIn] = {}
        self.rows = rows
