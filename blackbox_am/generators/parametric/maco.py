"""Images of a fixed magnitude spectrum, searched by their phases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
import torch

from blackbox_am.core.constants import Constants
from blackbox_am.core.generator import check_latent_shape
from blackbox_am.core.images import luma
from blackbox_am.core.parameters import check
from blackbox_am.core.rng import position_seed
from blackbox_am.errors import InvalidSpec
from blackbox_am.generators._arrays import read_array
from blackbox_am.generators._stimuli import PROBES, stimuli_files, stimuli_of
from blackbox_am.generators.parametric._magnitudes import fitted_to
from blackbox_am.generators.parametric._planes import Drawn, check_image, colour_matrix, cut_off
from blackbox_am.generators.parametric._spectrum import Waves, planes

PROBE = "zoo:probe_images"
CYCLES = 5.5
"""The default cut-off of searched phases in cycles per image."""
TINY = 1e-20
"""Squared length of a pair below which its direction is undefined; its phase is then 0."""


@dataclass(frozen=True)
class Maco(Drawn):
    """Images whose Fourier magnitudes are those of natural images; their phases are searched.

    Magnitude-constrained optimisation (Fel et al., "Unlocking Feature Visualization for Deeper
    Networks with MAgnitude Constrained Optimization", 2023): x = squash(C p), the spectrum of
    the planes p fixed in magnitude, C Lucid's colours. This implementation is adapted to searches
    without gradients:

    - Phases of frequencies up to `cycles` are searched; the others are fixed by `seed`.
    - An angle is discontinuous where it wraps around, so a phase is the direction of a pair of
      numbers: (a, b) stands for (a + ib) / |a + ib|. Normal pairs have uniform phases.
    - Both members of a pair of opposite frequencies are filled in, so every column of the spectrum
      has the given magnitudes; in the source, the columns 0 and W/2 do not. Frequencies without
      opposite are real: frequency 0 is left out (the source's standardisation removes it too), and
      the Nyquist frequencies have a sign fixed by `seed`.
    - Fixed magnitudes fix the deviation of a plane (Parseval), so `contrast` is applied once
      instead of in each step.

    The planes have exactly the given magnitudes. The sigmoid changes the magnitudes, so the
    spectrum of the pixels is only approximately natural.

    Latents: (planes, 2, frequencies), flattened: all a of a plane, then all b.

    Attributes:
        shape: (channels, height, width).
        cycles: the highest searched frequency in cycles per image, along its longer side. D is
            about planes * pi * cycles^2, 288 for three planes and the default, 5.5 cycles (or a
            quarter of the longer side if that is less). A number above the longer side means all
            frequencies.
        luminance: whether only phases of the first plane, brightness, are searched; the phases of
            colour are then fixed.
        magnitude: the mean magnitude of natural images: `zoo:probe_images`, or the path of a
            `.npy` or `.safetensors` file with (channels, height, width // 2 + 1) numbers, as
            rfft2 lays them out. Magnitudes of images of another size, such as the probe images of
            32x32, are matched in cycles per image. Beyond their highest frequency, they are
            continued by a law f^-a that is fitted to them. The scale of the magnitudes
            has no effect: `contrast` sets the scale.
        contrast: deviation of the three planes together, per plane in the mean square.
        seed: fixes the phases that are not searched.

    Raises:
        NotFound: if the file does not exist.
        InvalidSpec: for a parameter out of range, or magnitudes that do not fit.
    """

    kind: ClassVar[str] = "maco"
    study_parameters: ClassVar[frozenset[str]] = frozenset(
        {"cycles", "luminance", "contrast", "seed"}
    )

    shape: tuple[int, ...] = (3, 32, 32)
    cycles: float | None = None
    luminance: bool = False
    magnitude: str = PROBE
    contrast: float = 1.5
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(self.shape))
        check_image(self.shape, self.contrast, "decorrelated")
        check(max(self.shape[1:]) >= 3, "shape", "sides of 3 or more: smaller have no phases", "")
        check(self._searched[1] >= 1, "cycles", "1 or more: lower frequencies have no phase", "")
        if self.magnitude == PROBE and self.shape[0] not in (1, 3):
            raise InvalidSpec(
                f"magnitude: the probe images have 1 or 3 channels, the shape {self.shape} has "
                f"{self.shape[0]}; give a file",
                field="magnitude",
            )

    def contents(self) -> Mapping[str, object]:
        return {"magnitude": stimuli_files(self.magnitude)}

    def render(self, latents: torch.Tensor) -> torch.Tensor:
        matrix = self._constants.on(latents.device)[0]
        made = torch.matmul(matrix, self.planes(latents).flatten(2))
        return torch.sigmoid(made.reshape(-1, *self.shape))

    def planes(self, latents: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W): the planes whose magnitudes are fixed, before colours and sigmoid."""
        check_latent_shape(self._space, latents)
        _, upright, fixed, real_at, imaginary_at, scale = self._constants.on(latents.device)
        rows, free = len(latents), self._searched
        pairs = latents.to(torch.float32).reshape(rows, free[0], 2, free[1])
        squares = pairs.square().sum(2, keepdim=True)
        known = ~(squares <= TINY)  # nan counts as known, so that it stays nan
        # The gradient is 0 where the direction is undefined; it would be nan otherwise.
        lengths = torch.where(known, squares, 1.0).sqrt()
        phases = torch.where(known, pairs / lengths, upright)
        whole = fixed.expand(rows, -1, -1, -1).clone()
        whole[:, : free[0], :, : free[1]] = phases
        return planes(whole.flatten(2), real_at, imaginary_at, scale, self.shape[1:])

    def dimension(self) -> int:
        count, lowest = self._searched
        return count * 2 * lowest

    @cached_property
    def _searched(self) -> tuple[int, int]:
        """The numbers of planes, and of frequencies of each plane, whose phases are searched."""
        cycles = min(CYCLES, max(self.shape[1:]) / 4) if self.cycles is None else self.cycles
        lowest = len(self._waves.below(cut_off(cycles, self.shape)))
        return (1 if self.luminance else self.shape[0]), lowest

    @cached_property
    def _waves(self) -> Waves:
        """The frequencies that have a phase."""
        return Waves.of(*self.shape[1:]).pairs()

    @cached_property
    def _constants(self) -> Constants:
        return Constants(self._made)

    def _made(self) -> tuple[torch.Tensor, ...]:
        """The colours, phase 0, the fixed phases, and the places and factors of the numbers."""
        channels, height, width = self.shape
        every = Waves.of(height, width)
        # Pairs come first, so that the searched phases come first; then frequencies that have only
        # a sign.
        waves = every.pairs().joined(every.singles())
        magnitudes = self._magnitudes()
        magnitudes[:, 0, 0] = 0
        ky, kx = waves.places.unbind(1)
        of_waves = magnitudes[:, ky, kx]
        energies = torch.where(waves.paired, 2, 1)
        power = (energies * of_waves.square()).sum() / (channels * height * width)
        of_waves = of_waves * self.contrast / power.sqrt()
        generator = torch.Generator().manual_seed(position_seed(self.seed, "maco", 0, 0))
        angles = torch.rand(channels, len(waves), generator=generator) * 2 * torch.pi
        cosine = torch.where(waves.paired, angles.cos(), angles.cos().sign())
        fixed = torch.stack([cosine, angles.sin()], dim=1)
        source, sign = waves.halves()
        scale = sign[:, None] * of_waves[:, source]
        matrix = colour_matrix(channels, "decorrelated")
        upright = torch.tensor([[1.0], [0.0]])
        return matrix, upright, fixed, source, len(waves) + source, scale.to(torch.float32)

    def _magnitudes(self) -> torch.Tensor:
        """(C, H, W//2 + 1) float64."""
        channels, height, width = self.shape
        if self.magnitude == PROBE:
            return probe_magnitudes(channels, height, width)
        given = read_array("magnitude", self.magnitude)
        expected = f"numbers of shape ({channels}, height, width // 2 + 1)"
        fits = given.ndim == 3 and len(given) == channels and given.size > 0
        check(fits, "magnitude", expected, given.shape)
        proper = bool(np.isfinite(given).all() and (given >= 0).all())
        check(proper, "magnitude", "finite numbers, 0 or more", "others")
        found = fitted_to(torch.tensor(given.astype(np.float64)), height, width)
        some = bool(found.flatten(1)[:, 1:].any())
        check(some, "magnitude", f"some above 0 within {height} x {width} frequencies", "none")
        return found


def probe_magnitudes(channels: int, height: int, width: int) -> torch.Tensor:
    """(C, H, W//2 + 1) float64: mean magnitude of the zoo's natural images of 32x32, as they would
    have it at another size, see `fitted_to`.

    The magnitudes of the planes from which Lucid's colours give the images, relative to middle
    grey; for one channel, the magnitudes of the images' brightness. Each plane minus its mean is
    multiplied by a Hann window in both directions. The source has no window: an image that is
    repeated periodically then has edges at its borders, whose magnitudes lie on the two axes and
    look like a plaid under random phases.

    Raises:
        NotFound, StoreCorrupt: if the images are missing or damaged.
    """
    images = torch.from_numpy(stimuli_of("magnitude", PROBES))
    if channels == 1:
        images = luma(images)
    else:
        back = torch.linalg.inv(colour_matrix(3, "decorrelated").double()).float()
        images = torch.matmul(back, images.flatten(2) - 0.5).reshape(images.shape)
    planes_ = images.double() - images.double().mean(dim=(2, 3), keepdim=True)
    windows = [torch.hann_window(n, dtype=torch.float64) for n in images.shape[2:]]
    windowed = planes_ * windows[0][:, None] * windows[1]
    return fitted_to(torch.fft.rfft2(windowed).abs().mean(0), height, width)
