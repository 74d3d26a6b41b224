"""One fixed batch shape, so that the result of a row does not depend on the other rows.

Matrix kernels choose their algorithm by the shape of a batch and, on some processors, by the
address of its first row. The last bits of a row then differ, which is enough to change ranks. So a
model only sees batches of one size, at aligned addresses. A short batch is padded with copies of
its last row.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable

import torch

from blackbox_am.core.linear_algebra import aligned

log = logging.getLogger(__name__)

ENOUGH_VALUES = 64
"""Number of different values of each quantity that must be equal in batches of another size."""

PADDING_PER_TEST = 4
"""Rows of padding for each row of a test of a smaller batch size."""


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


class BatchSizes:
    """The batch sizes of one model: a whole size, and smaller sizes that give the same bits.

    If targets of a study have finished, most of a whole batch is padding. A smaller size is used
    after tests in which the model has given the same bits in batches of both sizes. The kernels of
    a model are chosen by the shape of a batch, so a size that gives other bits gives them for most
    values; `ENOUGH_VALUES` equal values exclude this.

    A test is made when the padding that the size would have saved is `PADDING_PER_TEST` times the
    rows of the test, so tests cost little beside the padding.

    Args:
        whole: rows in a batch of the whole size.
    """

    def __init__(self, whole: int) -> None:
        self._whole = whole
        self._padding: dict[int, int] = {}
        self._equal: dict[int, float] = {whole: math.inf}

    def of(self, rows: int) -> int:
        """The batch size for a generation of `rows` rows."""
        size = fixed_batch_size(rows, self._whole)
        return size if self._equal.get(size, 0) >= ENOUGH_VALUES else self._whole

    def to_test(self, rows: int) -> int | None:
        """The size to be tested on a generation of `rows` rows, which was measured in batches of
        the whole size; None for no test.
        """
        size = fixed_batch_size(rows, self._whole)
        if not 0 <= self._equal.get(size, 0) < ENOUGH_VALUES:
            return None
        calls = -(-rows // size)
        padding = self._padding.get(size, 0) + calls * (self._whole - size)
        due = padding >= PADDING_PER_TEST * rows
        self._padding[size] = 0 if due else padding
        return size if due else None

    def tested(self, size: int, *, equal: int, differs: bool) -> None:
        """Records a test of batches of `size`.

        Args:
            size: the tested size.
            equal: the number of different values with the same bits in batches of both sizes, of
                the quantity that has the fewest.
            differs: whether any value has other bits; the size is then never used.
        """
        self._equal[size] = -math.inf if differs else self._equal.get(size, 0) + equal
