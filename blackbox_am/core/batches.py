"""One fixed batch shape, so that an answer does not depend on who else was asked.

Matrix kernels choose their algorithm by shape, and the last bits of a row differ
with the size of its batch: enough to flip ranks. So a model only ever sees batches
of one size; a short batch is filled up with copies of its last row.
"""

from __future__ import annotations

from collections.abc import Callable

import torch


def in_fixed_batches(
    function: Callable[..., torch.Tensor],
    rows: torch.Tensor,
    batch_size: int,
    *others: torch.Tensor,
) -> torch.Tensor:
    """`function` over `rows` (N, ...), called with exactly `batch_size` rows a time.

    Args:
        function: takes as many tensors as are given.
        rows: (N, ...).
        batch_size: rows in each call.
        others: further tensors (N, ...), of the same rows.

    Returns:
        (N, ...): what it returned for the N rows; what it returned for padding is dropped.
    """
    pieces = []
    for start in range(0, len(rows), batch_size):
        batch = [tensor[start : start + batch_size] for tensor in (rows, *others)]
        missing = batch_size - len(batch[0])
        if missing:
            batch = [
                torch.cat([piece, piece[-1:].expand(missing, *piece.shape[1:])]) for piece in batch
            ]
        pieces.append(function(*batch)[: batch_size - missing])
    return torch.cat(pieces)


def fixed_batch_size(rows: int, preferred: int) -> int:
    """The batch size for generations of `rows` rows on an oracle that prefers `preferred`.

    Large generations run at the preferred size; small ones at their own, rounded up to
    a multiple of 8, so that little is wasted on padding.
    """
    return min(preferred, -(-rows // 8) * 8)
