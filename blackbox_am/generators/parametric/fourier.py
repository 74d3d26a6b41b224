"""Images from their Fourier coefficients, weighted as natural images are."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch

from blackbox_am.core.constants import Constants
from blackbox_am.core.generator import check_latent_shape
from blackbox_am.core.ranges import check
from blackbox_am.generators.parametric._planes import Colours, Drawn, check_image, colour_matrix
from blackbox_am.generators.parametric._spectrum import Waves, planes


@dataclass(frozen=True)
class Fourier(Drawn):
    """Images from Fourier coefficients with a 1/f spectrum, decorrelated colours, a sigmoid.

    The parametrisation of Lucid (Olah, Mordvintsev, Schubert, "Feature Visualization", 2017):
    a step of equal length in the latents changes low frequencies most, so that a search finds
    shapes before texture. It differs in three ways. The latents are the independent real
    coefficients only, so D is channels x height x width, not more. (Lucid's complex half spectrum
    contains some coefficients twice, and imaginary parts without effect.) The transform is
    orthonormal, and a frequency without opposite has the same weight as each member of a pair. N(0,
    1) is the prior of images with contrast, where Lucid starts at grey.

    Latents: (channels, coefficients), flattened; from low to high frequency the real parts,
    then the imaginary parts of the coefficients that are complex.

    Attributes:
        shape: (channels, height, width), any.
        lowest: number of frequencies, from the lowest; None: all. Each frequency has two
            coefficients in each channel, or one without an opposite.
        decay: amplitudes fall as 1 / frequency^decay.
        contrast: deviation of the planes before colours and sigmoid, over prior and pixels.
        colours: `decorrelated` (for three channels) or `independent`.

    Raises:
        InvalidSpec: for a parameter out of range.
    """

    kind: ClassVar[str] = "fourier"
    study_parameters: ClassVar[frozenset[str]] = frozenset(
        {"lowest", "decay", "contrast", "colours"}
    )

    shape: tuple[int, ...] = (3, 32, 32)
    lowest: int | None = None
    decay: float = 1.0
    contrast: float = 2.0
    colours: Colours = "decorrelated"

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(self.shape))
        check_image(self.shape, self.contrast, self.colours)
        check(0 <= self.decay <= 10, "decay", "0 to 10", self.decay)
        if self.lowest is not None:
            most = len(Waves.of(*self.shape[1:]))
            check(1 <= self.lowest <= most, "lowest", f"1 to {most} frequencies", self.lowest)

    def render(self, latents: torch.Tensor) -> torch.Tensor:
        check_latent_shape(self._space, latents)
        matrix, real_at, imaginary_at, scale = self._constants.on(latents.device)
        shaped = latents.to(torch.float32).reshape(len(latents), self.shape[0], -1)
        made = planes(torch.matmul(matrix, shaped), real_at, imaginary_at, scale, self.shape[1:])
        return torch.sigmoid(made)

    def dimension(self) -> int:
        waves = self._waves
        return self.shape[0] * (len(waves) + int(waves.paired.sum()))

    @cached_property
    def _waves(self) -> Waves:
        waves = Waves.of(*self.shape[1:])
        return waves if self.lowest is None else waves.lowest(self.lowest)

    @cached_property
    def _constants(self) -> Constants:
        return Constants(self._made)

    def _made(self) -> tuple[torch.Tensor, ...]:
        """The colours, and the place and factor of each coefficient."""
        waves = self._waves
        height, width = self.shape[1:]
        # A pair has two coefficients, a frequency without opposite has one.
        energies = torch.where(waves.paired, 2, 1).double()
        amplitudes = waves.frequencies.clamp_min(1 / max(height, width)) ** -self.decay
        power = (energies * amplitudes.square()).sum() / (height * width)
        amplitudes = self.contrast * amplitudes / power.sqrt()
        # Both members of a pair are in the spectrum, each with half of the pair's energy.
        amplitudes = amplitudes / energies.sqrt()
        source, sign = waves.halves()
        imaginary = len(waves) + waves.paired.cumsum(0) - 1
        imaginary = torch.where(waves.paired, imaginary, 0)
        scale = (sign * amplitudes[source]).to(torch.float32)
        return colour_matrix(self.shape[0], self.colours), source, imaginary[source], scale
