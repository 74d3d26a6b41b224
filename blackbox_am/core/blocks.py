"""Memory for large CPU tensors, used again instead of given back.

Memory that a process takes from the operating system is cleared page by page at its first use. For
the latents of 64 targets in 4,096 dimensions this takes as long as the random numbers in them
(measured: 83 ms for 64 MiB, against 9 ms to fill memory that has been used before). A block is used
again when no tensor on it is left.
"""

from __future__ import annotations

import sys
import threading
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

LARGE = 4 * 2**20
"""Bytes. Smaller tensors are left to torch, whose allocator does not give their memory back."""
ALIGNMENT = 64
_UNUSED = 2
"""References to an unused block: by the list, and by the call that counts them."""

_blocks: list[NDArray[Any]] = []
_lock = threading.Lock()


def empty(
    *shape: int, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu"
) -> torch.Tensor:
    """`torch.empty`, which on the CPU takes large memory from a block that is no longer used.

    The process keeps the blocks. It drops unused blocks when none of them fits, so that it keeps no
    more than the largest set of tensors that it used at once.
    """
    size = torch.Size(shape).numel() * dtype.itemsize
    if size < LARGE or torch.device(device).type != "cpu":
        return torch.empty(*shape, dtype=dtype, device=device)
    memory = torch.from_numpy(_block(size + ALIGNMENT))
    start = -memory.data_ptr() % ALIGNMENT
    return memory[start : start + size].view(dtype).view(shape)


def _block(size: int) -> NDArray[Any]:
    """An unused block of at least `size` bytes, and at most twice as many."""
    with _lock:
        unused = [i for i in range(len(_blocks)) if sys.getrefcount(_blocks[i]) == _UNUSED]
        for i in unused:
            if size <= _blocks[i].size <= 2 * size:
                return _blocks[i]
        for i in reversed(unused):
            del _blocks[i]
        block = np.empty(size, np.uint8)
        _blocks.append(block)
        return block
