"""Models with a known answer for analyses, and a count of what they served."""

from __future__ import annotations

from collections.abc import Callable

import torch

from blackbox_am.oracles.function import Function


class Counted:
    """A function of stimuli that counts its rows."""

    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor]) -> None:
        self.function = function
        self.rows = 0
        self.calls = 0

    def __call__(self, stimuli: torch.Tensor) -> torch.Tensor:
        self.rows += len(stimuli)
        self.calls += 1
        return self.function(stimuli)

    def oracle(self, *shape: int, gradients: bool = True) -> Function:
        """The function as an oracle of stimuli of `shape`."""
        return Function(self, shape, arrays="torch", gradients=gradients, batch_size=64)


def gabor(channels: int = 1, side: int = 16) -> torch.Tensor:
    """(channels, side, side) a Gabor filter, the weights of a linear unit."""
    y, x = torch.meshgrid(*(torch.linspace(-1, 1, side),) * 2, indexing="ij")
    along = 0.8 * x + 0.6 * y
    one = torch.exp(-3 * (x**2 + y**2)) * torch.cos(7 * along)
    return torch.stack([one * (1 + 0.5 * c) for c in range(channels)])


def linear(weights: torch.Tensor) -> Counted:
    """a(x) = <w, x>, as O-lin of the field's recipes."""
    return Counted(lambda x: (x * weights).flatten(1).sum(1, keepdim=True))


def planted(side: int = 32, top: int = 8, left: int = 16, length: int = 8) -> Counted:
    """The mean of one square of an image (3, side, side): the planted object."""

    def square(x: torch.Tensor) -> torch.Tensor:
        part = x[:, :, top : top + length, left : left + length]
        return part.flatten(1).mean(1, keepdim=True)

    return Counted(square)


def blocks_of(values: torch.Tensor, size: int) -> torch.Tensor:
    """(rows, columns) sums of an array (channels, height, width) over squares of `size`."""
    whole = values.sum(0)
    rows, columns = (n // size for n in whole.shape)
    return whole.reshape(rows, size, columns, size).sum((1, 3))
