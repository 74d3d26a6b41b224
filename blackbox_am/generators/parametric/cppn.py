"""Images from a small network that computes the colour at each point."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch

from blackbox_am.core.constants import Constants
from blackbox_am.core.generator import check_latent_shape
from blackbox_am.core.parameters import check
from blackbox_am.generators.parametric._planes import Drawn, check_image

INPUTS = 3
"""x, y and the distance from the middle."""


@dataclass(frozen=True)
class CPPN(Drawn):
    """Images of a compositional pattern-producing network; a latent is its weights.

    The network maps x, y and the distance r from the middle to channels (Stanley,
    "Compositional pattern producing networks: A novel abstraction of development", 2007). The
    units of a layer apply in turn the sine (repetition), the Gaussian (symmetry) and tanh.
    Stanley evolves the wiring too; here the layers have equal widths, and the latent is the
    weights. (If it were the input of one random network, that network would limit the images.)
    The image does not depend on the resolution.

    Latents: for each layer the weights (out, in), then the biases (out,), flattened. N(0, 1) is
    divided by the square root of the number of inputs.

    Attributes:
        shape: (channels, height, width), any. The longer side goes from -1 to 1.
        width: units of a hidden layer.
        layers: hidden layers.
        gain: factor on the weights; larger values give finer and more varied images.
        contrast: factor on the weights of the last layer, before a sigmoid.

    Raises:
        InvalidSpec: for a parameter out of range.
    """

    kind: ClassVar[str] = "cppn"
    study_parameters: ClassVar[frozenset[str]] = frozenset({"gain", "contrast"})

    shape: tuple[int, ...] = (3, 32, 32)
    width: int = 12
    layers: int = 3
    gain: float = 3.0
    contrast: float = 3.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(self.shape))
        check_image(self.shape, self.contrast, "independent")
        check(self.width >= 3, "width", "3 or more, one of each function", self.width)
        check(self.layers >= 1, "layers", "1 or more", self.layers)
        check(0 < self.gain < math.inf, "gain", "a positive number", self.gain)

    def render(self, latents: torch.Tensor) -> torch.Tensor:
        check_latent_shape(self._space, latents)
        (points,) = self._points.on(latents.device)
        pieces = torch.split(latents.to(torch.float32), self._pieces, dim=1)
        sizes = self._sizes
        hidden = points.expand(len(latents), -1, -1)
        for i, (inputs, outputs) in enumerate(sizes):
            last = i == len(sizes) - 1
            factor = (self.contrast if last else self.gain) / math.sqrt(inputs)
            weights = pieces[2 * i].reshape(-1, outputs, inputs) * factor
            hidden = torch.baddbmm(pieces[2 * i + 1][:, :, None], weights, hidden)
            if not last:
                hidden = _turns(hidden)
        return torch.sigmoid(hidden).reshape(-1, *self.shape)

    def dimension(self) -> int:
        return sum(self._pieces)

    @property
    def _sizes(self) -> list[tuple[int, int]]:
        """(inputs, outputs) of each layer."""
        widths = [INPUTS, *[self.width] * self.layers, self.shape[0]]
        return list(itertools.pairwise(widths))

    @cached_property
    def _pieces(self) -> list[int]:
        """The numbers of weights and of biases of each layer in a latent, in their order."""
        return [count for n, m in self._sizes for count in (n * m, m)]

    @cached_property
    def _points(self) -> Constants:
        return Constants(lambda: (points(*self.shape[1:]),))


def points(height: int, width: int) -> torch.Tensor:
    """(3, H * W) float32: x, y and the distance from the image's middle, at the centres of
    pixels.
    """
    longer = max(height, width)
    rows = (2 * torch.arange(height, dtype=torch.float64) + 1 - height) / longer
    columns = (2 * torch.arange(width, dtype=torch.float64) + 1 - width) / longer
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    return torch.stack([x, y, torch.hypot(x, y)]).flatten(1).to(torch.float32)


def _turns(sums: torch.Tensor) -> torch.Tensor:
    """(N, width, points): sine, Gaussian and tanh, each of a third of the units."""
    waves, bumps, steps = sums.tensor_split(3, dim=1)
    return torch.cat([waves.sin(), torch.exp(-bumps.square()), steps.tanh()], dim=1)
