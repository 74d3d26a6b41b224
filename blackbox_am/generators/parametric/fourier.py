"""Images from their Fourier coefficients, weighted as natural images are."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch

from blackbox_am.core.constants import Constants
from blackbox_am.core.generator import check_latent_shape, check_stimuli
from blackbox_am.core.parameters import check
from blackbox_am.generators.parametric._planes import (
    Colours,
    Drawn,
    check_image,
    colour_matrix,
    cut_off,
    unsquashed,
)
from blackbox_am.generators.parametric._spectrum import Waves, planes


@dataclass(frozen=True)
class Fourier(Drawn):
    """Images from Fourier coefficients with a 1/f spectrum, decorrelated colours, a sigmoid.

    The parametrisation of Lucid (Olah, Mordvintsev, Schubert, "Feature Visualization", 2017):
    a step of equal length in the latents changes low frequencies most, so that a search finds
    shapes before texture. It differs in four ways. The latents are the independent real
    coefficients only, so D is at most channels x height x width. (Lucid's complex half spectrum
    contains some coefficients twice, and imaginary parts without effect.) The transform is
    orthonormal, and a frequency without opposite has the same weight as each member of a pair. N(0,
    1) is the prior of images with contrast, where Lucid starts at grey. Frequencies above a cut-off
    are left out: with all of them, D is 154,587 for 227 x 227 pixels, too large for a search
    without gradients.

    Latents: (channels, coefficients), flattened; from low to high frequency the real parts,
    then the imaginary parts of the coefficients that are complex.

    Attributes:
        shape: (channels, height, width), any.
        cycles: the cut-off in cycles per image, along its longer side: images consist of the waves
            up to this frequency, at every resolution. D is about channels * pi * cycles^2, 763 for
            three channels and 9 cycles. Unless given, 9, or a quarter of the longer side if that is
            less; a number above the longer side means all frequencies.
        decay: amplitudes fall as 1 / frequency^decay.
        contrast: deviation of the planes before colours and sigmoid, over prior and pixels.
        colours: `decorrelated` (for three channels) or `independent`.

    Raises:
        InvalidSpec: for a parameter out of range.
    """

    kind: ClassVar[str] = "fourier"
    study_parameters: ClassVar[frozenset[str]] = frozenset(
        {"cycles", "decay", "contrast", "colours"}
    )

    shape: tuple[int, ...] = (3, 32, 32)
    cycles: float | None = None
    decay: float = 1.0
    contrast: float = 2.0
    colours: Colours = "decorrelated"

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(self.shape))
        check_image(self.shape, self.contrast, self.colours)
        check(0 <= self.decay <= 10, "decay", "0 to 10", self.decay)
        cut_off(self.cycles, self.shape)

    def render(self, latents: torch.Tensor) -> torch.Tensor:
        check_latent_shape(self._space, latents)
        matrix, real_at, imaginary_at, scale = self._constants.on(latents.device)
        shaped = latents.to(torch.float32).reshape(len(latents), self.shape[0], -1)
        made = planes(torch.matmul(matrix, shaped), real_at, imaginary_at, scale, self.shape[1:])
        return torch.sigmoid(made)

    @property
    def encodes(self) -> bool:
        return True

    def encode(self, stimuli: torch.Tensor) -> torch.Tensor:
        """The coefficients of the planes whose sigmoid is the stimuli. What lies above the cut-off
        is lost.
        """
        check_stimuli(self, stimuli)
        (matrix, *_), waves = self._constants.on(stimuli.device), self._waves
        ky, kx = waves.places.to(stimuli.device).unbind(1)
        spectrum = torch.fft.rfft2(unsquashed(stimuli), norm="ortho")[:, :, ky, kx]
        spectrum = spectrum / self._amplitudes.to(stimuli.device)
        paired = waves.paired.to(stimuli.device)
        numbers = torch.cat([spectrum.real, spectrum.imag[:, :, paired]], dim=2)
        return torch.matmul(torch.linalg.inv(matrix), numbers.to(torch.float32)).flatten(1)

    def dimension(self) -> int:
        waves = self._waves
        return self.shape[0] * (len(waves) + int(waves.paired.sum()))

    @cached_property
    def _waves(self) -> Waves:
        return Waves.of(*self.shape[1:]).below(cut_off(self.cycles, self.shape))

    @cached_property
    def _constants(self) -> Constants:
        return Constants(self._made)

    @cached_property
    def _amplitudes(self) -> torch.Tensor:
        """(F,) float64: the factor of the coefficient of each frequency."""
        waves = self._waves
        height, width = self.shape[1:]
        # A pair has two coefficients, a frequency without opposite has one.
        energies = torch.where(waves.paired, 2, 1).double()
        amplitudes = waves.frequencies.clamp_min(1 / max(height, width)) ** -self.decay
        power = (energies * amplitudes.square()).sum() / (height * width)
        amplitudes = self.contrast * amplitudes / power.sqrt()
        # Both members of a pair are in the spectrum, each with half of the pair's energy.
        return amplitudes / energies.sqrt()

    def _made(self) -> tuple[torch.Tensor, ...]:
        """The colours, and the place and factor of each coefficient."""
        waves = self._waves
        source, sign = waves.halves()
        imaginary = len(waves) + waves.paired.cumsum(0) - 1
        imaginary = torch.where(waves.paired, imaginary, 0)
        scale = (sign * self._amplitudes[source]).to(torch.float32)
        return colour_matrix(self.shape[0], self.colours), source, imaginary[source], scale
