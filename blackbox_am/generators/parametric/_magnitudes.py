"""Mean magnitude spectra of images of another size."""

from __future__ import annotations

import torch

from blackbox_am.errors import InvalidSpec

OUTER = 0.5
"""Of the highest frequency along either axis: from there on the law of decay is fitted."""
STEEPEST = 3.0
"""Natural images fall by exponents of 1 to 2; what is outside 0 to this is no such law."""


def fitted_to(magnitudes: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """(C, height, width // 2 + 1): magnitudes as images stretched to another size have them.

    Frequencies are matched in cycles per image, which is what an image keeps when it is stretched,
    and which are whole numbers at every size, so nothing lies between two of them. A smaller
    spectrum is the low frequencies of the larger, as after an ideal low-pass filter; at its
    Nyquist frequencies, where k and -k are one, it is the mean of both. A larger one goes on,
    beyond the highest frequency of the given, by the law A f^-a of each plane, f in cycles per
    pixel, fitted to the logarithms of all that is not 0 in its `OUTER` part; where all is 0 there,
    it stays 0.

    Magnitudes are relative: unlike those of the images, they are not multiplied by the ratio of
    pixels. At the size that they have they come back as they are.

    Args:
        magnitudes: (C, H, W // 2 + 1) float64, as rfft2 lays them out; of an even or an odd W.
        height, width: of the images wanted.

    Raises:
        InvalidSpec: for a whole spectrum instead of a half, which has every number twice.
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
    frequencies[0, 0] = 1  # it has no law, and is inside
    beyond = torch.stack([_continued(plane, span, frequencies) for plane in magnitudes])
    return torch.where(inside, known, beyond)


def _continued(plane: torch.Tensor, span: int, frequencies: torch.Tensor) -> torch.Tensor:
    """A f^-a at each of the frequencies, fitted to (H, W // 2 + 1) magnitudes."""
    along_y = _signed(len(plane)).double().abs()[:, None] / len(plane)
    along_x = torch.arange(plane.shape[1]).double() / span
    outer = (torch.maximum(along_y, along_x) >= OUTER / 2) & (plane > 0)
    if not bool(outer.any()):
        return torch.zeros_like(frequencies)
    x = torch.hypot(along_y, along_x)[outer].log()
    y = plane[outer].log()
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
