"""Capabilities of an oracle as flags; each flag stands for one kind of request."""

from __future__ import annotations

from enum import Flag, auto


class Capability(Flag):
    """The capabilities of an oracle. Flags are independent: a model can have gradients but no
    maps.
    """

    SCORES = auto()
    """Scores, probabilities or labels: the model's own output."""
    UNITS = auto()
    """Activations of units inside the model."""
    MAPS = auto()
    """Single positions of a layer: positions of a feature map, tokens."""
    GRADIENTS = auto()
    """Gradients of activations with respect to stimuli."""
    INTERVENTION = auto()
    """Activations while some units are silenced or changed."""


FORWARD = Capability.SCORES | Capability.UNITS | Capability.MAPS
"""All capabilities that need only forward passes."""


def names(capabilities: Capability) -> tuple[str, ...]:
    """The names of the set flags, in the order of the enumeration."""
    return tuple(flag.name or "" for flag in Capability if flag in capabilities)


def in_words(capabilities: Capability) -> str:
    """The names of the set flags for a message: `SCORES, UNITS`."""
    return ", ".join(names(capabilities)) or "none"
