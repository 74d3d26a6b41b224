"""Images from the coefficients of low frequency of their discrete cosine transform."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Literal

import torch

from blackbox_am.core.constants import Constants
from blackbox_am.core.generator import bounded, check_latent_shape, check_stimuli
from blackbox_am.core.parameters import check
from blackbox_am.generators.parametric._planes import (
    Colours,
    Drawn,
    check_image,
    colour_matrix,
    cut_off,
    unsquashed,
)

SQUASHES = ("sigmoid", "clip")


@dataclass(frozen=True)
class DCT(Drawn):
    """Images from the coefficients of low frequency of each channel's cosine transform.

    The transform is the orthonormal type II (Ahmed, Natarajan, Rao, "Discrete Cosine
    Transform", 1974). Its waves have slope 0 at the edges, so images are not periodic, unlike the
    images of `fourier`. A coefficient is N(0, 1) over frequency^decay.

    Latents: (channels, coefficients), flattened, from low to high frequency.

    Attributes:
        shape: (channels, height, width), any.
        cycles: the cut-off in cycles per image, along its longer side: images consist of the waves
            up to this frequency, at every resolution. D is about channels * pi * cycles^2, 763 for
            three channels and 9 cycles. Unless given, 9, or a quarter of the longer side if that is
            less; a number above the longer side means all frequencies.
        decay: amplitudes fall as 1 / frequency^decay.
        contrast: deviation of the planes before colours and squash, over prior and pixels.
        colours: `decorrelated` (for three channels, Lucid's matrix) or `independent`.
        squash: `sigmoid`, or `clip`: the tangent of the sigmoid at grey, 1/2 + x / 4, clipped at 0
            and 1, beyond which the gradient is 0.

    Raises:
        InvalidSpec: for a parameter out of range.
    """

    kind: ClassVar[str] = "dct"
    study_parameters: ClassVar[frozenset[str]] = frozenset(
        {"cycles", "decay", "contrast", "colours", "squash"}
    )

    shape: tuple[int, ...] = (3, 32, 32)
    cycles: float | None = None
    decay: float = 1.0
    contrast: float = 2.0
    colours: Colours = "decorrelated"
    squash: Literal["sigmoid", "clip"] = "sigmoid"

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(self.shape))
        check_image(self.shape, self.contrast, self.colours)
        check(0 <= self.decay <= 10, "decay", "0 to 10", self.decay)
        check(self.squash in SQUASHES, "squash", " or ".join(SQUASHES), self.squash)
        cut_off(self.cycles, self.shape)

    def render(self, latents: torch.Tensor) -> torch.Tensor:
        check_latent_shape(self._space, latents)
        matrix, amplitudes, places, vertical, horizontal = self._constants.on(latents.device)
        shaped = latents.to(torch.float32).reshape(len(latents), self.shape[0], -1)
        coefficients = torch.matmul(matrix, shaped) * amplitudes
        box = (vertical.shape[1], horizontal.shape[1])
        grid = coefficients.new_zeros(*shaped.shape[:2], box[0] * box[1])
        grid = grid.index_copy(2, places, coefficients).reshape(*shaped.shape[:2], *box)
        made = torch.matmul(torch.matmul(vertical, grid), horizontal.T)
        if self.squash == "clip":
            return bounded(0.5 + made / 4)
        return torch.sigmoid(made)

    @property
    def encodes(self) -> bool:
        return True

    def encode(self, stimuli: torch.Tensor) -> torch.Tensor:
        """The coefficients of the planes that the squash turns into the stimuli. What lies above
        the cut-off is lost.
        """
        check_stimuli(self, stimuli)
        matrix, amplitudes, places, vertical, horizontal = self._constants.on(stimuli.device)
        if self.squash == "clip":
            made = 4 * (stimuli.detach().to(torch.float32) - 0.5)
        else:
            made = unsquashed(stimuli)
        grid = torch.matmul(torch.matmul(vertical.T, made), horizontal).flatten(2)
        return torch.matmul(torch.linalg.inv(matrix), grid[:, :, places] / amplitudes).flatten(1)

    def dimension(self) -> int:
        return self.shape[0] * len(self._lowest[0])

    @cached_property
    def _lowest(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Numbers of the waves up to the cut-off, row by row, and their frequencies in cycles per
        pixel, from the lowest.
        """
        _, height, width = self.shape
        rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        # Sorted by whole numbers: equal frequencies then keep their order at every size.
        squares = ((rows * width).square() + (columns * height).square()).flatten()
        found, order = torch.sort(squares, stable=True)
        # The wave number k has k / 2 periods over the side.
        cycles = found.double().sqrt() / (2 * height * width)
        count = int((cycles <= cut_off(self.cycles, self.shape)).sum())
        return order[:count], cycles[:count]

    @cached_property
    def _constants(self) -> Constants:
        return Constants(self._made)

    def _made(self) -> tuple[torch.Tensor, ...]:
        """Colours, amplitudes, and the waves of the smallest box that holds the coefficients."""
        _, height, width = self.shape
        order, cycles = self._lowest
        ky, kx = order // width, order % width
        box = (int(ky.max()) + 1, int(kx.max()) + 1)
        amplitudes = cycles.clamp_min(1 / (2 * max(height, width)))
        amplitudes = amplitudes**-self.decay
        power = amplitudes.square().sum() / (height * width)
        amplitudes = self.contrast * amplitudes / power.sqrt()
        waves = (cosines(height, box[0]), cosines(width, box[1]))
        matrix = colour_matrix(self.shape[0], self.colours)
        return matrix, amplitudes.to(torch.float32), ky * box[1] + kx, *waves


def cosines(side: int, count: int) -> torch.Tensor:
    """(side, count) float32: the first waves of the orthonormal DCT-II, one a column."""
    points = torch.arange(side, dtype=torch.float64) + 0.5
    waves = torch.cos(math.pi / side * points[:, None] * torch.arange(count))
    waves[:, 1:] *= math.sqrt(2)
    return (waves / math.sqrt(side)).to(torch.float32)
