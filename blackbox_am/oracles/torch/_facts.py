"""What is known of a model besides its weights."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Facts:
    """What a source says of its model; empty where it says nothing.

    Attributes:
        stimulus_shape: of one stimulus.
        mean: subtracted from stimuli in [0, 1] ...
        std: ... which are then divided by this.
        labels: class names.
    """

    stimulus_shape: tuple[int, ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    labels: tuple[str, ...] = ()
