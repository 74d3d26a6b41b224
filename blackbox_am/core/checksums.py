"""Checksums of tensors, computed on the tensor's device."""

from __future__ import annotations

from functools import lru_cache

import torch

_BLOCK = 2**18
"""Words in one step; limits the memory of a checksum."""
_ODD = (-7046029254386353131, -4417276706812531889)
"""Odd multipliers with well mixed bits (2^64 over the golden ratio; a prime of xxHash)."""


def checksum(tensor: torch.Tensor) -> bytes:
    """16 bytes that depend on every bit of `tensor` and on its shape.

    The checksum consists of two weighted sums of the tensor's 32-bit words, modulo 2^64. The weight
    of a word is the weight of its place in a block of words, times the weight of the block; all
    weights are odd. Integer arithmetic gives the same result on every device and in any order. The
    checksum detects that a replay differs; it does not resist an adversary. Only the 16 bytes are
    copied to the host.
    """
    words = tensor.detach().contiguous().reshape(-1).view(torch.int32)
    places = _weights(tensor.device)
    sums = torch.zeros(2, dtype=torch.int64, device=tensor.device)
    for number, start in enumerate(range(0, len(words), _BLOCK)):
        block = words[start : start + _BLOCK].to(torch.int64).add_(1)
        sums += (places[:, : len(block)] * block).sum(dim=1) * places[:, number]
    header = torch.tensor(tensor.shape, dtype=torch.int64).numpy().tobytes()
    size = int.from_bytes(header, "little") % (2**61 - 1)
    first, second = (int(total) for total in sums.cpu().numpy())
    return b"".join((total % 2**64).to_bytes(8, "little") for total in (first ^ size, second))


@lru_cache(maxsize=8)
def _weights(device: torch.device) -> torch.Tensor:
    """(2, block) int64 odd weights of the places in a block."""
    place = torch.arange(1, 1 + _BLOCK, device=device)
    weights = torch.stack([place * odd for odd in _ODD])
    odd = torch.tensor(_ODD, device=device)[:, None]
    return ((weights ^ (weights >> 29)) * odd) | 1
