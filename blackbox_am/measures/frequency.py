"""Energy at high frequencies."""

from __future__ import annotations

from typing import ClassVar

import torch

from blackbox_am.core.measure import Measure, Rendered, check_neighbours, neighbour_axes

_CUT_OFFS = {
    "stimulus.above_half_nyquist": 0.25,
    "stimulus.above_quarter_nyquist": 0.125,
    "stimulus.above_eighth_nyquist": 0.0625,
}
"""Frequencies in cycles per pixel or sample; the Nyquist frequency is 0.5."""
LEAST_ENERGY = 1e-12


class Frequency(Measure):
    """`stimulus.above_half_nyquist`, `stimulus.above_quarter_nyquist`,
    `stimulus.above_eighth_nyquist`: the share of a stimulus's energy at frequencies above 1/2, 1/4
    or 1/8 of the Nyquist frequency.

    From 0 for a smooth stimulus to 1. The mean of each channel is left out, and the squared
    magnitudes of the discrete Fourier transform are summed over all channels. In images the
    frequency is the length of the vector of both frequencies, so corners of the spectrum are
    above 1. A constant stimulus has no energy; its share is 0.

    Stimuli that fool a model without resembling anything often have their energy there; natural
    images have little (D. Field, "Relations between the statistics of natural images and the
    response properties of cortical cells", 1987: energy falls with the square of the frequency).
    """

    names: ClassVar[tuple[str, ...]] = tuple(_CUT_OFFS)

    def check(self, stimulus_shape: tuple[int, ...]) -> None:
        check_neighbours(self.names[0], stimulus_shape)

    def measure(self, name: str, rendered: Rendered) -> torch.Tensor:
        stimuli = rendered.stimuli.to(torch.float32)
        axes = tuple(neighbour_axes(stimuli))
        spectrum = torch.fft.fftn(stimuli - stimuli.mean(axes, keepdim=True), dim=axes)
        energy = spectrum.real.square() + spectrum.imag.square()
        high = torch.where(_frequencies(stimuli, axes) > _CUT_OFFS[name], energy, 0.0)
        shares: torch.Tensor = high.flatten(1).sum(1) / (energy.flatten(1).sum(1) + LEAST_ENERGY)
        return shares


def _frequencies(stimuli: torch.Tensor, axes: tuple[int, ...]) -> torch.Tensor:
    """The frequency of each coefficient of the transform, with one entry along other axes."""
    squares = torch.zeros((1,) * stimuli.ndim, device=stimuli.device)
    for axis in axes:
        shape = [1] * stimuli.ndim
        shape[axis] = -1
        along = torch.fft.fftfreq(stimuli.shape[axis], device=stimuli.device)
        squares = squares + along.square().reshape(shape)
    return squares.sqrt()
