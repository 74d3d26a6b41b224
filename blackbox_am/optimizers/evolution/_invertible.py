"""Whether a matrix can be inverted in its floating-point format."""

from __future__ import annotations

import torch


def inverts_badly(matrix: torch.Tensor, inverse: torch.Tensor) -> torch.Tensor:
    """(...) bool: True for matrices (..., D, D) that are not finite, or whose axes differ by more
    than the floating-point format can represent.
    """
    spread = matrix.abs().amax((-2, -1)) * inverse.abs().amax((-2, -1))
    return ~(spread < 0.1 / torch.finfo(matrix.dtype).eps)
