"""Changes of images (N, channels, height, width) that generators and oracles share."""

from __future__ import annotations

from typing import Literal

import torch
from torch.nn import functional

from blackbox_am.core.parameters import check

Mode = Literal["bilinear", "bicubic", "nearest"]
MODES = ("bilinear", "bicubic", "nearest")

GREY = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in the luma (ITU-R BT.601)."""


def luma(images: torch.Tensor) -> torch.Tensor:
    """(N, 1, H, W) luma of images (N, 3, H, W) in red, green and blue (ITU-R BT.601)."""
    red, green, blue = images[:, 0:1], images[:, 1:2], images[:, 2:3]
    return (GREY[0] * red).add(green, alpha=GREY[1]).add(blue, alpha=GREY[2])


def resized(images: torch.Tensor, size: tuple[int, ...], mode: Mode) -> torch.Tensor:
    """(N, C, *size): `images` stretched to (height, width).

    Args:
        images: (N, C, H, W).
        size: (height, width).
        mode: `bilinear` and `bicubic` are antialiased: a smaller image is a weighted mean, not
            a choice of pixels. Bicubic values are clipped to [0, 1].
    """
    if mode == "nearest":
        return functional.interpolate(images, size, mode="nearest-exact")
    images = functional.interpolate(images, size, mode=mode, align_corners=False, antialias=True)
    return images.clamp(0, 1) if mode == "bicubic" else images


def center_crop(images: torch.Tensor, size: tuple[int, ...]) -> torch.Tensor:
    """(N, C, *size): the middle of `images`.

    Raises:
        InvalidSpec: if the images are smaller.
    """
    height, width = size
    fits = height <= images.shape[2] and width <= images.shape[3]
    check(fits, "crop", f"at most the image's {tuple(images.shape[2:])}", size)
    top, left = (images.shape[2] - height) // 2, (images.shape[3] - width) // 2
    return images[:, :, top : top + height, left : left + width]


def fitted(images: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """`images` as stimuli of `shape`: made smaller or larger without a change of their proportions
    until they cover (height, width), and cropped to their middle. Grey images become coloured and
    coloured images grey.

    Args:
        images: (N, 1 or 3, H, W) in [0, 1].
        shape: (1 or 3, height, width).

    Returns:
        (N, *shape) float32 in [0, 1].
    """
    channels, height, width = shape
    if channels == 1 and images.shape[1] == 3:
        images = luma(images)
    images = images.float()
    scale = max(height / images.shape[2], width / images.shape[3])
    size = max(height, round(images.shape[2] * scale)), max(width, round(images.shape[3] * scale))
    if size != tuple(images.shape[2:]):
        images = resized(images, size, "bilinear")
    return center_crop(images, (height, width)).expand(-1, channels, -1, -1).contiguous()
