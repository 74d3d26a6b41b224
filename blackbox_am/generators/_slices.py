"""Rendering in slices that fit into memory."""

from __future__ import annotations

from collections.abc import Callable

import torch

from blackbox_am.core.batches import BatchLimit
from blackbox_am.errors import OutOfMemory

ALLOCATION_FAILED = "can't allocate memory"
"""What PyTorch's allocator for CPUs says, in an error of no class of its own."""


class Slices:
    """Renders rows in slices. A slice that does not fit is halved, and the size is remembered.

    The last bits of a stimulus may depend on the size of its slice, and so on whether one was
    halved. With gradients, the graphs of all slices are kept until the backward pass, so that
    halving saves only the memory that a slice needs in addition to its graph.

    Args:
        rows: most rows of a slice; 0: all rows, until they do not fit.
    """

    def __init__(self, rows: int = 0) -> None:
        self._limit = BatchLimit(rows or None)

    def render(
        self, decode: Callable[[torch.Tensor], torch.Tensor], latents: torch.Tensor
    ) -> torch.Tensor:
        """(N, *stimulus): what `decode` makes of latents (N, ...), slice by slice.

        Raises:
            OutOfMemory: where a single row does not fit.
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
            # Out of the handler, so that the failed call's tensors are free by the next one.
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
