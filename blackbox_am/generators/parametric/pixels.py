"""The identity: latents are pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch

from blackbox_am.core.generator import (
    Generator,
    bounded,
    check_latent_shape,
    check_stimuli,
)
from blackbox_am.core.space import Space, build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.errors import InvalidSpec


@dataclass(frozen=True)
class Pixels(Generator):
    """The identity on the box [0, 1]^n: a latent is a stimulus, flattened.

    Without a prior over images, a search finds noise that excites the unit. Use this generator for
    models whose inputs are not images, for adversarial searches, and for tests. Values outside the
    box are cut off at its edge.

    Attributes:
        shape: shape of one stimulus.

    Raises:
        InvalidSpec: if the shape is empty or has a length below 1.
    """

    kind: ClassVar[str] = "pixels"

    shape: tuple[int, ...] = (3, 32, 32)

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(self.shape))
        if not self.shape or any(n < 1 for n in self.shape):
            raise InvalidSpec(
                f"shape: expected positive lengths, such as (3, 32, 32), got {self.shape}",
                field="shape",
            )

    @property
    def space(self) -> Space:
        image_shape = self.shape if len(self.shape) == 3 else ()
        dimension = math.prod(self.shape)
        return build_space(
            SpaceSpec("box", dimension, low=(0.0,), high=(1.0,), image_shape=image_shape)
        )

    @property
    def differentiable(self) -> bool:
        return True

    @property
    def stimulus_shape(self) -> tuple[int, ...]:
        return self.shape

    def render(self, latents: torch.Tensor) -> torch.Tensor:
        check_latent_shape(self.space, latents)
        return bounded(latents.to(torch.float32)).reshape(-1, *self.shape)

    @property
    def encodes(self) -> bool:
        return True

    def encode(self, stimuli: torch.Tensor) -> torch.Tensor:
        check_stimuli(self, stimuli)
        return bounded(stimuli.detach().to(torch.float32)).flatten(1)
