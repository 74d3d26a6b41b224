"""Cosine waves: the basis of what is smooth."""

from __future__ import annotations

import math

import torch


def cosines(length: int) -> torch.Tensor:
    """(T, T) float64, the orthonormal DCT-II: column k is frequency k."""
    time = (torch.arange(length, dtype=torch.float64) + 0.5) * (math.pi / length)
    waves = torch.cos(time[:, None] * torch.arange(length))
    unit: torch.Tensor = waves / waves.norm(dim=0)
    return unit
