"""What an oracle can answer, as flags: each stands for one kind of request."""

from __future__ import annotations

from enum import Flag, auto


class Capability(Flag):
    """What an oracle can answer. Flags are independent: a model may have gradients and no maps."""

    SCORES = auto()
    """The scores, probabilities or labels that are the model's own output."""
    UNITS = auto()
    """Activations of units inside the model."""
    MAPS = auto()
    """Single positions of a layer: places of a feature map, tokens."""
    GRADIENTS = auto()
    """Gradients of activations with respect to stimuli."""
    INTERVENTION = auto()
    """Answers with some units silenced or changed."""


FORWARD = Capability.SCORES | Capability.UNITS | Capability.MAPS
"""Everything that forward passes can answer."""


def names(capabilities: Capability) -> tuple[str, ...]:
    """The names of the flags that are set, in the order of the enumeration."""
    return tuple(flag.name or "" for flag in Capability if flag in capabilities)


def in_words(capabilities: Capability) -> str:
    """The names of the flags for a message: `SCORES, UNITS`."""
    return ", ".join(names(capabilities)) or "none"
