"""Sums and products taken one target at a time.

Elementwise arithmetic gives a target the same bits whatever the size of the batch it
is in. Reductions and matrix products do not: their kernels choose a blocking, and so an
order of summation, by the whole shape. Here each target is reduced by a call of its own,
whose shape does not know K.
"""

from __future__ import annotations

from collections.abc import Callable

import torch


def for_each(function: Callable[..., torch.Tensor], *tensors: torch.Tensor) -> torch.Tensor:
    """`function` over the K axis of `tensors`, stacked: (K, ...)."""
    if len(tensors[0]) == 1:
        return function(*(tensor[0] for tensor in tensors)).unsqueeze(0)
    return torch.stack([function(*rows) for rows in zip(*tensors, strict=True)])


def weighted_sum(weights: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """(K, D): the sum over P of weights (K, P) times rows (K, P, D)."""
    return for_each(lambda w, x: (w.unsqueeze(-1) * x).sum(0), weights, rows)


def norms(rows: torch.Tensor) -> torch.Tensor:
    """(K, ...): Euclidean norms over the last axis of (K, ..., D)."""
    return for_each(lambda x: x.square().sum(-1), rows).sqrt()
