"""The independent Fourier coefficients of real images, and the computation of the others.

A real plane of H x W pixels has a spectrum X(ky, kx) with X(-ky, -kx) its conjugate. H W real
numbers therefore determine the spectrum: two for each pair of opposite frequencies, and one for
each frequency that is its own opposite (0, and the Nyquist frequencies of even sides), whose
coefficient is real. The half spectrum that irfft2 takes still contains both members of some pairs,
in its columns kx = 0 and kx = W/2. Both members are filled in here, because libraries treat a
single member differently.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Waves:
    """Independent frequencies of real planes.

    Attributes:
        height, width: of the planes.
        places: (F, 2) int64: ky in 0..H-1 and kx in 0..W//2 of each.
        paired: (F,) bool: whether the frequency has an opposite and therefore a phase; otherwise
            its coefficient is real.
        frequencies: (F,) float64, cycles per pixel.
    """

    height: int
    width: int
    places: torch.Tensor
    paired: torch.Tensor
    frequencies: torch.Tensor

    @classmethod
    def of(cls, height: int, width: int) -> Waves:
        """All independent frequencies of planes of that size, from the lowest."""
        ky, kx = torch.meshgrid(torch.arange(height), torch.arange(width // 2 + 1), indexing="ij")
        ky, kx = ky.flatten(), kx.flatten()
        opposite_y, opposite_x = -ky % height, -kx % width
        own = (opposite_y == ky) & (opposite_x == kx)
        # In a column that is its own opposite, the lower half of the rows determines the column.
        twice = (opposite_x == kx) & (ky > opposite_y)
        rows = torch.fft.fftfreq(height, dtype=torch.float64)[ky]
        columns = kx.double() / width
        frequencies = (rows.square() + columns.square()).sqrt()
        kept = (~twice).nonzero().squeeze(1)
        # Sorted by whole numbers: equal frequencies then keep their order at every size.
        signed = torch.where(2 * ky <= height, ky, ky - height)
        squares = (signed * width).square() + (kx * height).square()
        order = kept[torch.sort(squares[kept], stable=True).indices]
        places = torch.stack([ky, kx], dim=1)[order]
        return cls(height, width, places, ~own[order], frequencies[order])

    def __len__(self) -> int:
        return len(self.places)

    def below(self, frequency: float) -> Waves:
        """The frequencies up to `frequency`, in cycles per pixel."""
        return self._of((self.frequencies <= frequency).nonzero().squeeze(1))

    def pairs(self) -> Waves:
        """The frequencies with a phase."""
        return self._of(self.paired.nonzero().squeeze(1))

    def singles(self) -> Waves:
        """The frequencies that are their own opposites."""
        return self._of((~self.paired).nonzero().squeeze(1))

    def joined(self, other: Waves) -> Waves:
        """These frequencies, followed by the frequencies of `other`."""
        return Waves(
            self.height,
            self.width,
            torch.cat([self.places, other.places]),
            torch.cat([self.paired, other.paired]),
            torch.cat([self.frequencies, other.frequencies]),
        )

    def _of(self, kept: torch.Tensor) -> Waves:
        parts = (self.places[kept], self.paired[kept], self.frequencies[kept])
        return Waves(self.height, self.width, *parts)

    def halves(self) -> tuple[torch.Tensor, torch.Tensor]:
        """How F complex numbers fill the half spectrum that irfft2 takes.

        Returns:
            source: (H * (W//2 + 1),) int64: the index of the number at each place.
            sign: (2, H * (W//2 + 1)) float32: factors on the real and the imaginary part: 1 and 1;
                1 and -1 for the conjugate of a pair; 0 for a missing number.
        """
        columns = self.width // 2 + 1
        ky, kx = self.places.unbind(1)
        source = torch.zeros(self.height * columns, dtype=torch.int64)
        sign = torch.zeros(2, self.height * columns)
        again = self.paired & ((-kx % self.width) == kx)
        number = torch.arange(len(self))
        twin = (-ky % self.height) * columns + kx
        for at, which, imaginary in (
            (ky * columns + kx, number, self.paired.float()),
            (twin[again], number[again], -torch.ones(int(again.sum()))),
        ):
            source[at] = which
            sign[0, at], sign[1, at] = 1.0, imaginary
        return source, sign


def planes(
    numbers: torch.Tensor,
    real_at: torch.Tensor,
    imaginary_at: torch.Tensor,
    scale: torch.Tensor,
    size: tuple[int, ...],
) -> torch.Tensor:
    """(..., H, W): real planes from their coefficients, the transform orthonormal.

    Args:
        numbers: (..., M), the coefficients in any order.
        real_at, imaginary_at: (H * (W//2 + 1),) the index of the real and the imaginary part at
            each place of the half spectrum.
        scale: (2, ..., H * (W//2 + 1)), factors on both parts.
        size: (H, W).
    """
    half = torch.complex(
        numbers.index_select(-1, real_at) * scale[0],
        numbers.index_select(-1, imaginary_at) * scale[1],
    )
    shaped = half.reshape(*numbers.shape[:-1], size[0], size[1] // 2 + 1)
    made: torch.Tensor = torch.fft.irfft2(shaped, s=size, norm="ortho")
    return made
