"""Gradients of rows scaled to a common size; for searches that follow a gradient or an estimate."""

from __future__ import annotations

import torch

from blackbox_am.optimizers._targetwise import norms, row_sums


def unit(slopes: torch.Tensor) -> torch.Tensor:
    """Finite `slopes` (K, P, D) divided by their Euclidean norm; 0 where all are 0."""
    scaled = _at_most_one(slopes)
    return scaled / _positive(norms(scaled).unsqueeze(-1))


def even(slopes: torch.Tensor) -> torch.Tensor:
    """Finite `slopes` (K, P, D) divided by their mean magnitude; 0 where all are 0."""
    scaled = _at_most_one(slopes)
    mean = row_sums(scaled.abs()).unsqueeze(-1) / slopes.shape[-1]
    return scaled / _positive(mean)


def _at_most_one(slopes: torch.Tensor) -> torch.Tensor:
    """`slopes` divided by the largest magnitude of each row, so that their squares stay in the
    range of the floating-point format.
    """
    return slopes / _positive(slopes.abs().amax(-1, keepdim=True))


def _positive(values: torch.Tensor) -> torch.Tensor:
    return values.clamp_min(torch.finfo(values.dtype).tiny)
