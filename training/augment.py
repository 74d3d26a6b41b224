"""Differentiable augmentation for the training of a GAN.

Zhao, Liu, Lin, Zhu, Han, "Differentiable Augmentation for Data-Efficient GAN Training", NeurIPS
2020. The discriminator sees real *and* generated pictures only after random changes, and the
generator's gradient passes through the same changes. The discriminator therefore cannot memorise
10,000 pictures, and the generator does not learn to produce the changes. The three kinds of
change have the strengths of the paper: colour, translation by up to 1/8 of the side, and cutout
of a square of half the side.
"""

from __future__ import annotations

import torch
from torch import Tensor

REACH = 1 / 8
HOLE = 1 / 2


def shift_colours(x: Tensor) -> Tensor:
    """Change brightness (by up to 0.5), saturation (0 to 2 times) and contrast (0.5 to 1.5).

    Args:
        x: Pictures in [-1, 1], ``(B, C, H, W)``.

    Returns:
        New pictures; values may leave [-1, 1].
    """
    brightness, saturation, contrast = torch.rand(3, len(x), 1, 1, 1, device=x.device)
    x = x + (brightness - 0.5)
    grey = x.mean(1, keepdim=True)
    x = grey + (x - grey) * (2 * saturation)
    middle = x.mean((1, 2, 3), keepdim=True)
    changed: Tensor = middle + (x - middle) * (0.5 + contrast)
    return changed


def _shifts(count: int, side: int, device: torch.device) -> Tensor:
    """Matrices ``(count, 1, side, side)`` that move rows by up to ``REACH`` and pad with zeros."""
    reach = round(side * REACH)
    offset = torch.randint(-reach, reach + 1, (count, 1, 1), device=device)
    index = torch.arange(side, device=device)
    moved = index[None, :, None] + offset == index[None, None, :]
    return moved[:, None].float()


def translate(x: Tensor) -> Tensor:
    """Move each picture ``(B, C, H, W)`` by up to 1/8 of its side and pad with zeros.

    The shift is computed as a product with a matrix of zeros and ones on each side, because the
    gradient of a product needs no scattered additions, which are slow.
    """
    count, _, height, width = x.shape
    rows, columns = (_shifts(count, side, x.device) for side in (height, width))
    # The product is exact in any precision: every output is one input times 1.
    moved: Tensor = rows @ x @ columns
    return moved


def cut_hole(x: Tensor) -> Tensor:
    """Set one square of half the side to zero in each picture ``(B, C, H, W)``."""
    inside = []
    for side in x.shape[2:]:
        length = round(side * HOLE)
        start = torch.randint(0, side + 1, (len(x), 1), device=x.device) - length // 2
        index = torch.arange(side, device=x.device)[None]
        inside.append((index >= start) & (index < start + length))
    hole = inside[0][:, None, :, None] & inside[1][:, None, None, :]
    return x * ~hole


def augment(x: Tensor) -> Tensor:
    """Apply all three changes, drawn for each picture ``(B, C, H, W)`` in [-1, 1] separately."""
    return cut_hole(translate(shift_colours(x)))
