"""Sums and products whose bits do not depend on K.

Elementwise arithmetic gives a target the same bits at every batch size. Reductions and matrix
products do not: their kernels choose the order of summation by the whole shape. Here the order is
a function of P and D alone. Small sums are written as elementwise additions of whole blocks of
rows, for all targets at once. Large sums take one call for each target, and the cost of the call is
small beside the work.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from blackbox_am.core import linear_algebra

LARGE = 2**15
"""From this number of elements a target, one call for each target is faster."""
BLOCK = 4
"""Rows that small weighted sums add at a time."""


def possible(mask: torch.Tensor) -> bool:
    """Whether any element of `mask` may be True. On the CPU the elements are read. On other devices
    the result is always True, because reading would wait for the device.
    """
    return mask.device.type != "cpu" or bool(mask.any())


def for_each(function: Callable[..., torch.Tensor], *tensors: torch.Tensor) -> torch.Tensor:
    """`function` over the K axis of `tensors`, stacked: (K, ...)."""
    if len(tensors[0]) == 1:
        return function(*(tensor[0] for tensor in tensors)).unsqueeze(0)
    return torch.stack([function(*rows) for rows in zip(*tensors, strict=True)])


def weighted_sum(weights: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """(K, D): the sum over P of weights (K, P) times rows (K, P, D), which are finite."""
    if rows[0].numel() >= LARGE:
        return for_each(lambda w, x: linear_algebra.matmul(x.T, w), weights, rows)
    factors = torch.split(weights.unsqueeze(-1), BLOCK, dim=1)
    blocks = torch.split(rows, BLOCK, dim=1)
    total = factors[0] * blocks[0]
    for factor, block in zip(factors[1:], blocks[1:], strict=True):
        part = total if block.shape[1] == BLOCK else total[:, : block.shape[1]]
        part.addcmul_(factor, block)
    sums = total.unbind(dim=1)
    while len(sums) > 1:
        last = sums[-1:] if len(sums) % 2 else ()
        sums = (*(a + b for a, b in zip(sums[::2], sums[1::2], strict=False)), *last)
    return sums[0]


def row_sums(rows: torch.Tensor) -> torch.Tensor:
    """(K, ...): sums over the last axis of (K, ..., D)."""
    return _by_row(lambda x: x.sum(-1), rows)


def norms(rows: torch.Tensor) -> torch.Tensor:
    """(K, ...): Euclidean norms over the last axis of (K, ..., D)."""
    return _by_row(lambda x: torch.linalg.vector_norm(x, dim=-1), rows)


def _by_row(function: Callable[[torch.Tensor], torch.Tensor], rows: torch.Tensor) -> torch.Tensor:
    """A reduction over the last axis of `rows` (K, ..., D).

    The CPU sums all rows of a contiguous tensor in the same order, but splits a single row among
    its threads. A single row is therefore duplicated before the call. CUDA assigns its threads by
    the number of rows, so each target has its own call on CUDA.
    """
    if rows.device.type != "cpu":
        return for_each(function, rows)
    rows = rows.contiguous()
    if rows.shape[:-1].numel() == 1:
        return function(torch.cat([rows, rows]))[:1]
    return function(rows)
