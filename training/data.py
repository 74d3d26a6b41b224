"""Training images: how they are read, and how batches of them are augmented."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from blackbox_am.errors import NotFound, StoreCorrupt

TRAIN_FILE = "cifar10_train_10000.npz"
TEST_FILE = "cifar10_test_1000.npz"


@dataclass(frozen=True)
class Images:
    """A labelled image set: ``x`` float32 ``(N, 3, 32, 32)`` in [0, 1], ``y`` int64 ``(N,)``."""

    x: Tensor
    y: Tensor

    def to(self, device: torch.device) -> Images:
        """The same images on another device."""
        return Images(self.x.to(device), self.y.to(device))


def read_npz(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read ``x`` uint8 ``(N, 32, 32, 3)`` and ``y`` int64 ``(N,)`` from an npz file.

    Raises:
        NotFound: The file is absent.
        StoreCorrupt: The file cannot be read, or its arrays have other shapes or types.
    """
    if not path.is_file():
        raise NotFound(f"Training data {path} does not exist; --data names the folder to read.")
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            x, y = archive["x"], archive["y"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise StoreCorrupt(f"Training data {path} cannot be read: {error}.") from error
    if x.dtype != np.uint8 or x.ndim != 4 or x.shape[1:] != (32, 32, 3) or len(x) != len(y):
        raise StoreCorrupt(
            f"Training data {path} must hold x uint8 (N, 32, 32, 3) and y (N,); "
            f"found x {x.dtype} {x.shape} and y {y.shape}."
        )
    return x, y.astype(np.int64)


def read_images(path: Path) -> Images:
    """Read an npz file (see :func:`read_npz`) as float images in [0, 1]."""
    x, y = read_npz(path)
    pixels = torch.from_numpy(x).permute(0, 3, 1, 2).contiguous().float() / 255.0
    return Images(pixels, torch.from_numpy(y))


def shift_and_flip(x: Tensor, reach: int) -> Tensor:
    """Shift each image by up to ``reach`` pixels (mirrored borders) and flip half of them.

    Args:
        x: Images ``(B, C, H, W)``.
        reach: Largest shift in pixels, 0 or more, below the image side.

    Returns:
        New images of the same shape.
    """
    count, channels, height, width = x.shape
    device = x.device
    padded = functional.pad(x, (reach,) * 4, mode="reflect") if reach else x
    down = torch.randint(0, 2 * reach + 1, (count, 1), device=device)
    right = torch.randint(0, 2 * reach + 1, (count, 1), device=device)
    rows = torch.arange(height, device=device)[None] + down
    columns = torch.arange(width, device=device)[None] + right
    flipped = torch.rand(count, 1, device=device) < 0.5
    columns = torch.where(flipped, columns.flip(1), columns)
    picture = torch.arange(count, device=device)[:, None, None, None]
    channel = torch.arange(channels, device=device)[None, :, None, None]
    return padded[picture, channel, rows[:, None, :, None], columns[:, None, None, :]]


def cut_out(x: Tensor, side: int) -> Tensor:
    """Replace one random ``side`` x ``side`` square of each image by mid-grey (0.5)."""
    count, _, height, width = x.shape
    device = x.device
    top = torch.randint(-side // 2, height - side // 2, (count, 1), device=device)
    left = torch.randint(-side // 2, width - side // 2, (count, 1), device=device)
    row = torch.arange(height, device=device)[None]
    column = torch.arange(width, device=device)[None]
    in_rows = (row >= top) & (row < top + side)
    in_columns = (column >= left) & (column < left + side)
    hole = in_rows[:, None, :, None] & in_columns[:, None, None, :]
    return torch.where(hole, torch.full_like(x, 0.5), x)


def mix_up(x: Tensor, strongest: float = 1.0) -> Tensor:
    """Blend each image with another image; half of the batch stays unchanged.

    The labels are not blended. The teacher sees the same blended image, and the teacher's logits
    are the target (Beyer et al., "Knowledge distillation: A good teacher is patient and
    consistent", CVPR 2022).
    """
    share = torch.rand(len(x), 1, 1, 1, device=x.device) * 0.5 * strongest
    share = torch.where(torch.rand_like(share) < 0.5, torch.zeros_like(share), share)
    return x * (1 - share) + x[torch.randperm(len(x), device=x.device)] * share
