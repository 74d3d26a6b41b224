"""What the tables of architectures are made of."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch
from torch import nn

IMAGE = (3, 16, 16)


@dataclasses.dataclass
class Architecture:
    """A network and what a person would say of its layers.

    A layout names the axes of a module's output as the module returns it: N the stimuli, C the
    units, T tokens or time, H, W, D space, `_` anything else. `G` are groups of units, such as
    attention heads: unit c of group g has the number g * C + c. `k` is what was folded into the
    axis of stimuli: `Nk` where the parts of one stimulus lie beside each other, `kN` where each
    part holds all stimuli. `+T` are tokens of which the first is a class token.

    Attributes:
        make: makes it.
        shape: of one stimulus.
        layouts: by a regular expression for the whole name of a layer; the first that fits counts.
        absent: names that must be listed as not addressable.
        keys: for names of outputs that no module has: where they are in the model's output.
    """

    make: Callable[[], nn.Module]
    shape: tuple[int, ...]
    layouts: dict[str, str]
    absent: tuple[str, ...] = ()
    keys: dict[str, Callable[[object], torch.Tensor]] = dataclasses.field(default_factory=dict)
