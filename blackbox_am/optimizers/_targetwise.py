"""Sums and products whose bits do not depend on K.

Elementwise arithmetic gives a target the same bits whatever the size of the batch it
is in. Reductions and matrix products do not: their kernels choose a blocking, and so an
order of summation, by the whole shape. Here the order is a function of P and D alone:
small sums are spelt out as elementwise additions of whole blocks of rows, for all targets at
once; large ones take a call for each target, whose cost they hide.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

LARGE = 2**15
"""Elements of a target from which a call of its own costs less than it saves."""
BLOCK = 4
"""Rows that small weighted sums add at a time."""


def for_each(function: Callable[..., torch.Tensor], *tensors: torch.Tensor) -> torch.Tensor:
    """`function` over the K axis of `tensors`, stacked: (K, ...)."""
    if len(tensors[0]) == 1:
        return function(*(tensor[0] for tensor in tensors)).unsqueeze(0)
    return torch.stack([function(*rows) for rows in zip(*tensors, strict=True)])


def weighted_sum(weights: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """(K, D): the sum over P of weights (K, P) times rows (K, P, D), which are finite."""
    population = rows.shape[1]
    if rows[0].numel() >= LARGE:
        return for_each(lambda w, x: torch.mv(x.T, w), weights, rows)
    factors = weights.unsqueeze(-1)
    total = factors[:, :BLOCK] * rows[:, :BLOCK]
    for first in range(BLOCK, population, BLOCK):
        block = slice(first, min(first + BLOCK, population))
        total[:, : block.stop - first].addcmul_(factors[:, block], rows[:, block])
    while total.shape[1] > 1:
        half = (total.shape[1] + 1) // 2
        total[:, : total.shape[1] - half] += total[:, half:]
        total = total[:, :half]
    return total[:, 0]


def row_sums(rows: torch.Tensor) -> torch.Tensor:
    """(K, ...): sums over the last axis of (K, ..., D).

    The CPU adds up each row of a contiguous tensor alike, except that it shares the only row of
    a tensor among its threads: such a row is given company. CUDA divides its threads by the
    number of rows, and so gets a call for each target.
    """
    if rows.is_cuda:
        return for_each(lambda x: x.sum(-1), rows)
    rows = rows.contiguous()
    if rows.shape[:-1].numel() == 1:
        return torch.cat([rows, rows]).sum(-1)[:1]
    return rows.sum(-1)


def norms(rows: torch.Tensor) -> torch.Tensor:
    """(K, ...): Euclidean norms over the last axis of (K, ..., D)."""
    return row_sums(rows.square()).sqrt()
