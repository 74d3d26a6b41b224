"""Codebooks of vector-quantised autoencoders: their two latent spaces, and the quantiser."""

from __future__ import annotations

import math

import torch

from blackbox_am.core.space import Space, build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.errors import InvalidSpec
from blackbox_am.generators._diffusers import per_channel

LATENTS = ("continuous", "codes")


def check_latent(latent: str) -> None:
    """Check that a text names one of the two spaces.

    Raises:
        InvalidSpec: if it does not; the error names the field `latent`.
    """
    if latent not in LATENTS:
        raise InvalidSpec(
            f"latent: expected 'continuous' or 'codes', got {latent!r}", field="latent"
        )


def codebook_space(latent: str, shape: tuple[int, int, int], codes: int) -> Space:
    """Categorical over the grid's positions, or normal.

    Args:
        latent: `codes` or `continuous`.
        shape: (channels, height, width) of vectors on the grid.
        codes: m, entries of the codebook.
    """
    if latent == "continuous":
        return build_space(SpaceSpec("normal", math.prod(shape), image_shape=shape))
    grid = (1, *shape[1:])
    return build_space(
        SpaceSpec("categorical", math.prod(grid), categories=codes, image_shape=grid)
    )


class Codebook(torch.nn.Module):
    """Latents to vectors on the grid.

    Args:
        entries: (m, channels) the codebook.
        mean, std: mean and deviation of each channel of latents over natural images; empty computes
            them over the codebook's entries.
        quantise: whether continuous latents are moved to their nearest entry.
    """

    entries: torch.Tensor
    mean: torch.Tensor
    std: torch.Tensor

    def __init__(
        self,
        entries: torch.Tensor,
        mean: tuple[float, ...] = (),
        std: tuple[float, ...] = (),
        *,
        quantise: bool = True,
    ) -> None:
        super().__init__()
        self.quantise = quantise
        self.register_buffer("entries", entries.detach().to(torch.float32))
        self.register_buffer("mean", per_channel(mean or tuple(entries.mean(0).tolist())))
        self.register_buffer("std", per_channel(std or tuple(entries.std(0).tolist())))

    def place(self, latents: torch.Tensor, grid: tuple[int, ...]) -> torch.Tensor:
        """Latents (N, D) on the codebook's device and on the grid: codes (N, *grid) int64, or
        (N, channels, *grid) float32.
        """
        device = self.entries.device
        if latents.is_floating_point():
            return latents.to(device, torch.float32).reshape(-1, self.entries.shape[1], *grid)
        return latents.to(device, torch.int64).reshape(-1, *grid)

    def forward(self, placed: torch.Tensor) -> torch.Tensor:
        """Vectors (N, channels, height, width) for the result of `place`."""
        if not placed.is_floating_point():
            return self._look_up(placed)
        vectors = placed * self.std + self.mean
        if not self.quantise:
            return vectors
        with torch.no_grad():
            chosen = self._look_up(self._nearest(vectors))
        # The value is that of the chosen entry, the gradient is that of the input.
        return chosen + (vectors - vectors.detach())

    def latents(self, vectors: torch.Tensor, latent: str) -> torch.Tensor:
        """Latents (N, D) of vectors (N, channels, height, width): the nearest codes, int64, or the
        whitened vectors themselves.
        """
        if latent == "codes":
            return self._nearest(vectors).flatten(1)
        return ((vectors - self.mean) / self.std).flatten(1)

    def _nearest(self, vectors: torch.Tensor) -> torch.Tensor:
        """(N, height, width) int64: the number of the entry nearest to each vector."""
        flat = vectors.permute(0, 2, 3, 1)
        nearest: torch.Tensor = torch.cdist(flat.flatten(0, 2), self.entries).argmin(1)
        return nearest.reshape(flat.shape[:3])

    def _look_up(self, codes: torch.Tensor) -> torch.Tensor:
        # Unlike indexing, this operation refuses codes below 0.
        vectors = torch.nn.functional.embedding(codes, self.entries)
        return vectors.permute(0, 3, 1, 2).contiguous()
