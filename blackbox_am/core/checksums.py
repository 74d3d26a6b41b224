"""Checksums of tensors, computed on the tensor's device."""

from __future__ import annotations

import torch

_CHUNK = 2**21
"""Numbers in one step; limits the memory of a checksum."""
_ODD = (-7046029254386353131, -4417276706812531889)
"""Odd multipliers with well mixed bits (2^64 over the golden ratio; a prime of xxHash)."""


def checksum(tensor: torch.Tensor) -> bytes:
    """16 bytes that depend on every bit of `tensor` and on its shape.

    The checksum consists of two weighted sums of the tensor's 32-bit words, modulo 2^64; the
    weights depend on the position. Integer arithmetic gives the same result on every device and in
    any order. The checksum detects that a replay differs; it does not resist an adversary. Only the
    16 bytes are copied to the host.
    """
    words = tensor.detach().contiguous().reshape(-1).view(torch.int32)
    sums = torch.zeros(2, dtype=torch.int64, device=tensor.device)
    for start in range(0, len(words), _CHUNK):
        piece = words[start : start + _CHUNK].to(torch.int64)
        place = torch.arange(start + 1, start + 1 + len(piece), device=tensor.device)
        for i, odd in enumerate(_ODD):
            weight = place * odd
            weight = (weight ^ (weight >> 29)) * odd
            sums[i] += ((piece + 1) * (weight | 1)).sum()
    header = torch.tensor(tensor.shape, dtype=torch.int64).numpy().tobytes()
    size = int.from_bytes(header, "little") % (2**61 - 1)
    first, second = (int(total) for total in sums.cpu().numpy())
    return b"".join((total % 2**64).to_bytes(8, "little") for total in (first ^ size, second))
