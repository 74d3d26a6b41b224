"""Whether a matrix can be inverted in its floating-point format."""

from __future__ import annotations

import torch


def inverts_badly(matrix: torch.Tensor, inverse: torch.Tensor) -> torch.Tensor:
    """(...) bool: matrices (..., D, D) whose axes differ by more than the floating-point
    format can follow, or that are not finite.
    """
    spread = matrix.abs().amax((-2, -1)) * inverse.abs().amax((-2, -1))
    return ~(spread < 0.1 / torch.finfo(matrix.dtype).eps)
