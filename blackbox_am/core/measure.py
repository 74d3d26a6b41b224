"""The contract of a measure: a number for each stimulus, computed where the stimulus is
rendered.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch

from blackbox_am.errors import InvalidSpec, ShapeMismatch


@dataclass(frozen=True)
class Rendered:
    """Candidates with their stimuli.

    Attributes:
        latents: (N, D).
        stimuli: (N, *stimulus) in [0, 1].
        references: (N, *stimulus) or (1, *stimulus), the input with which each stimulus is
            compared; None if the generator has no inputs.
    """

    latents: torch.Tensor
    stimuli: torch.Tensor
    references: torch.Tensor | None = None


class Measure(ABC):
    """Measures of a stimulus or its latent; each has a name such as `stimulus.tv`.

    A measure is independent of the model. It is differentiable if the generator is, so that a
    penalty has gradients. A subclass has no parameters.
    """

    names: ClassVar[tuple[str, ...]]
    """The names of the measures that the class computes."""
    compares: ClassVar[bool] = False
    """Whether the measures compare stimuli with the generator's inputs."""

    def check(self, stimulus_shape: tuple[int, ...]) -> None:  # noqa: B027  # most measures accept any shape
        """Check that stimuli of this shape can be measured.

        Raises:
            InvalidSpec: if they cannot; the message names the possible shapes.
        """

    @abstractmethod
    def measure(self, name: str, rendered: Rendered) -> torch.Tensor:
        """Values (N,) float32 of the measure `name`, one of `names`."""


def references_of(rendered: Rendered) -> torch.Tensor:
    """The inputs with which stimuli are compared, (N or 1, *stimulus).

    Raises:
        ShapeMismatch: if there are no inputs, or if their shape differs from that of the stimuli.
    """
    references = rendered.references
    if references is None or references.shape[1:] != rendered.stimuli.shape[1:]:
        found = "none" if references is None else f"inputs of shape {tuple(references.shape[1:])}"
        raise ShapeMismatch(
            f"distances: expected inputs of shape {tuple(rendered.stimuli.shape[1:])} to compare "
            f"the stimuli with, got {found}"
        )
    return references


def differences(stimuli: torch.Tensor) -> torch.Tensor:
    """Differences (N, n) of neighbours along time, or along height and width.

    The first axis of stimuli with two or more axes is the channel axis; channels are not compared
    with each other.
    """
    pairs = [stimuli.diff(dim=axis).flatten(1) for axis in neighbour_axes(stimuli)]
    return torch.cat(pairs, dim=1)


def neighbour_axes(stimuli: torch.Tensor) -> range:
    """The axes of stimuli (N, *stimulus) along which values are neighbours: time, or height and
    width; the only axis of stimuli that have one.
    """
    return range(2 if stimuli.ndim > 2 else 1, stimuli.ndim)


def check_neighbours(name: str, stimulus_shape: tuple[int, ...]) -> None:
    """Check that stimuli have neighbours in time or space.

    Raises:
        InvalidSpec: if a channel of the stimulus has only one value.
    """
    if max(stimulus_shape[1:] or stimulus_shape) < 2:
        raise InvalidSpec(
            f"{name}: expected stimuli with neighbours in time or space, got shape "
            f"{stimulus_shape}; leave this measure out",
            field="targets.quantities",
        )
