"""Images from the lowest coefficients of their discrete cosine transform."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Literal

import torch

from blackbox_am.core.constants import Constants
from blackbox_am.core.generator import bounded, check_latent_shape
from blackbox_am.core.ranges import check
from blackbox_am.generators.parametric._planes import Colours, Drawn, check_image, colour_matrix

SQUASHES = ("sigmoid", "clip")


@dataclass(frozen=True)
class DCT(Drawn):
    """Images from the K coefficients of lowest frequency of each channel's cosine transform.

    The transform is the orthonormal type II (Ahmed, Natarajan, Rao, "Discrete Cosine
    Transform", 1974). Its waves have slope 0 at the edges, so images are not periodic, unlike the
    images of `fourier`. A coefficient is N(0, 1) over frequency^decay.

    Latents: (channels, K), flattened, from low to high frequency.

    Attributes:
        shape: (channels, height, width), any.
        lowest: K; None: all.
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
        {"lowest", "decay", "contrast", "colours", "squash"}
    )

    shape: tuple[int, ...] = (3, 32, 32)
    lowest: int | None = 64
    decay: float = 1.0
    contrast: float = 2.0
    colours: Colours = "decorrelated"
    squash: Literal["sigmoid", "clip"] = "sigmoid"

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(self.shape))
        check_image(self.shape, self.contrast, self.colours)
        check(0 <= self.decay <= 10, "decay", "0 to 10", self.decay)
        check(self.squash in SQUASHES, "squash", " or ".join(SQUASHES), self.squash)
        most = math.prod(self.shape[1:])
        if self.lowest is not None:
            check(1 <= self.lowest <= most, "lowest", f"1 to {most} coefficients", self.lowest)

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

    def dimension(self) -> int:
        count = math.prod(self.shape[1:]) if self.lowest is None else self.lowest
        return self.shape[0] * count

    @cached_property
    def _constants(self) -> Constants:
        return Constants(self._made)

    def _made(self) -> tuple[torch.Tensor, ...]:
        """Colours, amplitudes, and the waves of the smallest box that holds the coefficients."""
        _, height, width = self.shape
        rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        # The wave number k has k / 2 periods over the side.
        cycles = torch.hypot(rows.double() / (2 * height), columns.double() / (2 * width))
        order = torch.sort(cycles.flatten(), stable=True).indices[: self.lowest]
        ky, kx = order // width, order % width
        box = (int(ky.max()) + 1, int(kx.max()) + 1)
        amplitudes = cycles.flatten()[order].clamp_min(1 / (2 * max(height, width)))
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
