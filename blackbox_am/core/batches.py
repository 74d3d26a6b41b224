"""One fixed batch shape, so that the result of a row does not depend on the other rows.

Matrix kernels choose their algorithm by the shape of a batch and, on some processors, by the
address of its first row. The last bits of a row then differ, which is enough to change ranks. So a
model only sees batches of one size, at aligned addresses. A short batch is padded with copies of
its last row.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import torch

from blackbox_am.core.linear_algebra import aligned

log = logging.getLogger(__name__)


class BatchLimit:
    """The largest batch that may fit into memory, found by trial. Thread-safe.

    Attributes:
        known: rows; None as long as every batch has fitted.
    """

    def __init__(self, known: int | None = None) -> None:
        self._lock = threading.Lock()
        self.known = known

    def shrink(self, size: int, reason: Exception) -> None:
        """Records that no more than `size` rows may fit. The limit never grows again."""
        with self._lock:
            if self.known is None or size < self.known:
                log.warning("%s; batches of %d from now on", reason, size)
                self.known = size


def in_fixed_batches(
    function: Callable[..., torch.Tensor],
    rows: torch.Tensor,
    batch_size: int,
    *others: torch.Tensor,
) -> torch.Tensor:
    """`function` over `rows` (N, ...), called with exactly `batch_size` rows at a time.

    Args:
        function: takes one tensor for `rows` and one for each of `others`.
        rows: (N, ...).
        batch_size: rows in each call.
        others: further tensors (N, ...), of the same rows.

    Returns:
        (N, ...): the results of the N rows. The results of padding are dropped.
    """
    pieces = []
    for start in range(0, len(rows), batch_size):
        batch = [aligned(tensor[start : start + batch_size]) for tensor in (rows, *others)]
        missing = batch_size - len(batch[0])
        if missing:
            batch = [
                torch.cat([piece, piece[-1:].expand(missing, *piece.shape[1:])]) for piece in batch
            ]
        pieces.append(function(*batch)[: batch_size - missing])
    return torch.cat(pieces)


def fixed_batch_size(rows: int, preferred: int) -> int:
    """The batch size for generations of `rows` rows on an oracle that prefers `preferred`: the size
    that needs as few calls as possible with the least padding. 80 rows at a preferred 64 are two
    calls of 40.
    """
    calls = -(-rows // preferred)
    return -(-rows // calls)
