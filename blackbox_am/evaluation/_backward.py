"""Backward passes over batches, which are halved until they fit into memory."""

from __future__ import annotations

from collections.abc import Callable

import torch

from blackbox_am.core.batches import BatchLimit
from blackbox_am.core.metering import count, metering
from blackbox_am.errors import OutOfMemory

Climb = Callable[[torch.Tensor, torch.Tensor, int], tuple[torch.Tensor, torch.Tensor]]
"""From latents (N, D), targets (N,) and a batch size to a table (N, Q) and gradients (N, D)."""

_TOO_LARGE = (OutOfMemory, MemoryError, torch.cuda.OutOfMemoryError)


class BackwardBatches:
    """The batch size of the backward passes of one evaluator.

    A backward pass keeps the intermediate results of every layer, so it needs more memory than the
    forward pass for which the batch size was chosen. The wrapper `halving` cannot help there: it
    splits a forward pass, and the parts are kept until the backward pass. Here the whole pass, from
    the latents to their gradients, is repeated in batches of half the size, and all later passes
    have that size. The last bits of an activation may depend on the size, and so on whether a
    batch was halved.
    """

    def __init__(self) -> None:
        self._limit = BatchLimit()

    def over(
        self, climb: Climb, latents: torch.Tensor, targets: torch.Tensor, size: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """`climb` over rows (N, D) of targets (N,), in batches of at most `size` rows.

        The calls of an attempt that did not fit are counted as retries.

        Raises:
            OutOfMemory, torch.cuda.OutOfMemoryError, MemoryError: if one row does not fit.
        """
        tables, slopes = [], []
        start = 0
        while start < len(latents):
            now = min(size, self._limit.known or size)
            rows = slice(start, start + now)
            try:
                with metering() as meter:
                    table, slope = climb(latents[rows], targets[rows], now)
            except _TOO_LARGE as error:
                if now == 1:
                    raise
                self._limit.shrink(now // 2, error)
                count(meter.lost())
            else:
                tables.append(table.detach())
                slopes.append(slope)
                start += now
        return torch.cat(tables), torch.cat(slopes)
