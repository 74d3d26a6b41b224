"""Facts about a model that its weights do not contain."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Facts:
    """Facts from a model's source; empty fields are unknown.

    Attributes:
        stimulus_shape: shape of one stimulus.
        mean: mean that is subtracted from stimuli in [0, 1].
        std: divisor after the subtraction.
        labels: class names.
    """

    stimulus_shape: tuple[int, ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    labels: tuple[str, ...] = ()
