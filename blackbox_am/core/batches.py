"""One fixed batch shape, so that an activation does not depend on the other rows of its batch.

Matrix kernels choose their algorithm by the shape of the batch, and the last bits of a row depend
on this choice, which can change ranks. A model therefore sees batches of one size only; a short
batch is padded with copies of its last row.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import torch

from blackbox_am.core.linear_algebra import aligned

log = logging.getLogger(__name__)


class BatchLimit:
    """The largest batch that fits into memory, as far as known. Safe to use from any thread.

    Attributes:
        known: rows; None as long as every batch did fit.
    """

    def __init__(self, known: int | None = None) -> None:
        self._lock = threading.Lock()
        self.known = known

    def shrink(self, size: int, reason: Exception) -> None:
        """Record that at most `size` rows fit. The limit never grows again."""
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
    """Apply `function` to `rows` (N, ...) in calls of exactly `batch_size` rows.

    Args:
        function: function of the given tensors.
        rows: (N, ...).
        batch_size: rows in each call.
        others: further tensors (N, ...) for the same rows.

    Returns:
        (N, ...): the results for the N rows, without those for padding rows.
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
    """The batch size for generations of `rows` rows on an oracle that prefers `preferred` rows.

    The size needs the fewest calls with the least padding. For 80 rows and a preferred size of 64
    it is 40, two calls without padding.
    """
    calls = -(-rows // preferred)
    return -(-rows // calls)
