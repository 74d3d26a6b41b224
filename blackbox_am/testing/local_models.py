"""A tiny generator for any continuous space, and a tiny network that sees what it makes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import torch
from torch import nn

from blackbox_am.core.generator import Generator, check_latent_shape
from blackbox_am.core.oracle import Oracle
from blackbox_am.core.space import Space, build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.oracles.torch.torch_module import TorchModule

STIMULUS = (1, 6, 6)


@dataclass(frozen=True)
class Canvas(Generator):
    """A fixed random linear map and a sigmoid: 6 x 6 pixels, with gradients.

    Attributes:
        of: the space it renders.
    """

    kind: ClassVar[str] = "canvas"

    of: SpaceSpec

    @property
    def differentiable(self) -> bool:
        return True

    @property
    def space(self) -> Space:
        return build_space(self.of)

    @property
    def stimulus_shape(self) -> tuple[int, ...]:
        return STIMULUS

    def render(self, latents: torch.Tensor) -> torch.Tensor:
        check_latent_shape(self.space, latents)
        shaped = latents.to(torch.float32) @ _map(self.of.dimension).to(latents.device)
        stimuli: torch.Tensor = torch.sigmoid(shaped).reshape(-1, *STIMULUS)
        return stimuli


@lru_cache(maxsize=4)
def tiny_network(seed: int = 0, device: str = "cpu") -> Oracle:
    """A random convolutional network with gradients, for stimuli of shape `STIMULUS`.

    It has the layers `0` (6 channels), `1` behind its nonlinearity, and `3` (5 units).
    """
    with torch.random.fork_rng(devices=[]):
        torch.random.manual_seed(seed)
        module = nn.Sequential(nn.Conv2d(1, 6, 3), nn.Tanh(), nn.Flatten(), nn.Linear(96, 5))
    return TorchModule(module, STIMULUS, (0.5,), (0.25,), device=device, batch_size=16)


@lru_cache(maxsize=16)
def _map(dimension: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(dimension)
    width = STIMULUS[1] * STIMULUS[2]
    return torch.randn(dimension, width, generator=generator) / math.sqrt(dimension)
