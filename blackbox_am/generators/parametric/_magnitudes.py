"""Mean magnitude spectra of images of another size."""

from __future__ import annotations

import torch

from blackbox_am.errors import InvalidSpec

BAND = (0.1, 0.6)
"""Shares of the highest frequency along either axis, between which the law of decay is fitted.
Above, small images are weaker than the law, because they were filtered when they were made small.
"""
STEEPEST = 3.0
"""The largest accepted exponent of the law of decay; the smallest is 0. Natural images have
exponents of 1 to 2.
"""


def fitted_to(magnitudes: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """(C, height, width // 2 + 1): the magnitudes that the images would have after stretching to
    another size.

    Frequencies are matched in cycles per image. Stretching an image does not change them, and they
    are whole numbers at every size, so no interpolation is necessary. A smaller spectrum consists
    of the low frequencies of the larger spectrum, as after an ideal low-pass filter; at its Nyquist
    frequencies, where k and -k coincide, the magnitude is the mean of both. A larger spectrum is
    continued beyond the highest given frequency by a law A f^-a for each plane, f in cycles per
    pixel. The law is fitted to the logarithms of all magnitudes above 0 in the `BAND` of the
    spectrum. If all magnitudes in the band are 0, the continuation is 0.

    Magnitudes are relative: unlike the magnitudes of stretched images, they are not multiplied by
    the ratio of the numbers of pixels. At the given size they are returned unchanged.

    Args:
        magnitudes: (C, H, W // 2 + 1) float64, as rfft2 lays them out; of an even or an odd W.
        height, width: of the requested images.

    Raises:
        InvalidSpec: for a full spectrum, which contains every number twice, instead of a half
            spectrum.
    """
    rows, columns = magnitudes.shape[1:]
    if (rows, columns) == (height, width // 2 + 1):
        return magnitudes
    _refuse_whole(magnitudes)
    ky, kx = torch.meshgrid(_signed(height), torch.arange(width // 2 + 1), indexing="ij")
    alone = (2 * ky.abs() == height) | (2 * kx == width)

    def at(ky: torch.Tensor) -> torch.Tensor:
        return magnitudes[:, ky % rows, kx.clamp(max=columns - 1)]

    known = (at(ky) + at(torch.where(alone, -ky, ky))) / 2
    inside = (2 * ky.abs() <= rows) & (kx < columns)
    if bool(inside.all()):
        return known
    span = max(1, 2 * (columns - 1))  # the images' width, up to one pixel
    frequencies = torch.hypot(ky.double() / rows, kx.double() / span)
    frequencies[0, 0] = 1  # frequency 0 is inside and has no law
    beyond = torch.stack([_continued(plane, span, frequencies) for plane in magnitudes])
    return torch.where(inside, known, beyond)


def _continued(plane: torch.Tensor, span: int, frequencies: torch.Tensor) -> torch.Tensor:
    """A f^-a at each of the frequencies, fitted to (H, W // 2 + 1) magnitudes."""
    along_y = _signed(len(plane)).double().abs()[:, None] / len(plane)
    along_x = torch.arange(plane.shape[1]).double() / span
    along = torch.maximum(along_y, along_x)
    band = (along >= BAND[0] / 2) & (along <= BAND[1] / 2) & (along > 0) & (plane > 0)
    if not bool(band.any()):
        return torch.zeros_like(frequencies)
    x = torch.hypot(along_y, along_x)[band].log()
    y = plane[band].log()
    spread = (x - x.mean()).square().sum()
    slope = ((x - x.mean()) * y).sum() / spread if spread > 1e-9 else torch.tensor(-1.0).to(x)
    slope = slope.clamp(-STEEPEST, 0)
    return (y.mean() + slope * (frequencies.log() - x.mean())).exp()


def _signed(length: int) -> torch.Tensor:
    """(length,) int64: the frequencies in cycles per image, as fft lays them out."""
    places = torch.arange(length)
    return torch.where(2 * places < length, places, places - length)


def _refuse_whole(magnitudes: torch.Tensor) -> None:
    mirrored = magnitudes.flip(1, 2).roll((1, 1), (1, 2))
    varied = bool((magnitudes.amax(2) > magnitudes.amin(2)).any())
    if varied and torch.allclose(magnitudes, mirrored, rtol=1e-4, atol=0):
        raise InvalidSpec(
            "magnitude: expected half of a spectrum, width // 2 + 1 columns as rfft2 lays them "
            f"out, got a whole one of {magnitudes.shape[2]} columns",
            field="magnitude",
        )
