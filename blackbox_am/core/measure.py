"""The contract of a measure: a number for each stimulus, computed where it is rendered."""

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
        references: (N, *stimulus) or (1, *stimulus), the input that each stimulus is compared
            with; None where the generator has none.
    """

    latents: torch.Tensor
    stimuli: torch.Tensor
    references: torch.Tensor | None = None


class Measure(ABC):
    """Measures of a stimulus or its latent, each called by a name such as `stimulus.tv`.

    A measure knows no model. It is differentiable where the generator is, so that a penalty
    has gradients too. A subclass takes no parameters.
    """

    names: ClassVar[tuple[str, ...]]
    """The measures that it computes."""
    compares: ClassVar[bool] = False
    """Whether it compares stimuli with the inputs that a generator works around."""

    def check(self, stimulus_shape: tuple[int, ...]) -> None:  # noqa: B027  # most take any
        """Checks that stimuli of this shape can be measured.

        Raises:
            InvalidSpec: saying which shapes can.
        """

    @abstractmethod
    def measure(self, name: str, rendered: Rendered) -> torch.Tensor:
        """(N,) float32 values of the measure called `name`, one of `names`."""


def references_of(rendered: Rendered) -> torch.Tensor:
    """The inputs that stimuli are compared with, (N or 1, *stimulus).

    Raises:
        ShapeMismatch: where there are none, or they have another shape than the stimuli.
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
    """(N, n) differences of neighbours along time, or along height and width; the first axis of
    stimuli of two or more axes is that of channels, which are not compared with each other.
    """
    first = 2 if stimuli.ndim > 2 else 1
    pairs = [stimuli.diff(dim=axis).flatten(1) for axis in range(first, stimuli.ndim)]
    return torch.cat(pairs, dim=1)


def check_neighbours(name: str, stimulus_shape: tuple[int, ...]) -> None:
    """Checks that stimuli have neighbours in time or space.

    Raises:
        InvalidSpec: for stimuli of one value a channel.
    """
    if max(stimulus_shape[1:] or stimulus_shape) < 2:
        raise InvalidSpec(
            f"{name}: expected stimuli with neighbours in time or space, got shape "
            f"{stimulus_shape}; leave this measure out",
            field="targets.quantities",
        )
