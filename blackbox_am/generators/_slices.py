"""Rendering in slices that fit into memory."""

from __future__ import annotations

from collections.abc import Callable

import torch

from blackbox_am.core.batches import BatchLimit
from blackbox_am.errors import OutOfMemory

ALLOCATION_FAILED = "can't allocate memory"
"""Part of the message of PyTorch's CPU allocator, whose error has no class of its own."""


class Slices:
    """Renders rows in slices. A slice that does not fit into memory is halved, and the size is
    stored.

    The last bits of a stimulus can depend on the size of its slice, and therefore on whether a
    slice was halved. With gradients, the graphs of all slices are kept until the backward pass, so
    that halving saves only the temporary memory of a slice.

    Args:
        rows: largest number of rows in a slice; 0: all rows, until they do not fit.
    """

    def __init__(self, rows: int = 0) -> None:
        self._limit = BatchLimit(rows or None)

    def render(
        self, decode: Callable[[torch.Tensor], torch.Tensor], latents: torch.Tensor
    ) -> torch.Tensor:
        """Stimuli (N, *stimulus) of latents (N, ...), computed by `decode` slice by slice.

        Raises:
            OutOfMemory: if a single row does not fit into memory.
        """
        pieces: list[torch.Tensor] = []
        start = 0
        while start < len(latents) or not pieces:
            size = self._limit.known or len(latents)
            rows = latents[start : start + size]
            try:
                pieces.append(decode(rows))
            except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
                reason = _out_of_memory(error)
            else:
                start += len(rows)
                continue
            # Outside the exception handler, so that the failed call's tensors are free at the next
            # call.
            if len(rows) <= 1:
                raise OutOfMemory(f"one stimulus does not fit into memory: {reason}")
            self._limit.shrink(len(rows) // 2, OutOfMemory(f"rendering {len(rows)} rows: {reason}"))
        return pieces[0] if len(pieces) == 1 else torch.cat(pieces)


def _out_of_memory(error: Exception) -> str:
    """The first line of an out-of-memory error; raises any other error again."""
    told = str(error)
    fits = isinstance(error, (torch.OutOfMemoryError, MemoryError)) or ALLOCATION_FAILED in told
    if not fits:
        raise error
    return told.splitlines()[0] if told else "out of memory"
