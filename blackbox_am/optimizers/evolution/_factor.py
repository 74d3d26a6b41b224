"""Lower Cholesky factors of covariances that may have lost their definiteness by rounding."""

from __future__ import annotations

import torch

from blackbox_am.core import linear_algebra
from blackbox_am.optimizers.evolution._triangular import factor_in_panels

JITTERS = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
BATCHED_UP_TO = 512
"""The largest D at which one batched call beats a call for each matrix."""


def factor(covariance: torch.Tensor) -> torch.Tensor:
    """Lower A with A A^T = C, for C (K, D, D) of which only the lower triangle is read.

    Where C is not positive definite to working precision, its diagonal is multiplied, in
    `covariance` itself, by 1 + t with the smallest t of 1e-6, 1e-5, ..., 1 that makes C positive
    definite. If none does, the correlations are dropped. A multiplied diagonal treats all scales
    equally: correlations shrink, and the ratios of badly scaled axes do not change.

    K integers are read back to the host to check whether every factorisation succeeded.
    """
    result, info = _cholesky(covariance)
    for k, failed in enumerate(info.tolist()):
        if failed:
            result[k] = _repaired(covariance[k])
    return result


def _cholesky(covariance: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Factors and failures, whose bits do not depend on K.

    On the CPU a batch is factored matrix by matrix, large ones in panels. CUDA has one kernel for
    a single matrix and another for several; which is used here is decided by D alone.
    """
    targets, dim = covariance.shape[:2]
    elsewhere = covariance.device.type != "cpu"
    if dim <= BATCHED_UP_TO:
        lone = elsewhere and targets == 1
        batch = covariance.expand(2, dim, dim) if lone else covariance
        result, info = linear_algebra.cholesky(batch)
        return result[:targets], info[:targets]
    one = linear_algebra.cholesky if elsewhere else factor_in_panels
    pairs = [one(matrix) for matrix in covariance]
    if targets == 1:
        return pairs[0][0].unsqueeze(0), pairs[0][1].unsqueeze(0)
    return torch.stack([pair[0] for pair in pairs]), torch.stack([pair[1] for pair in pairs])


def _repaired(covariance: torch.Tensor) -> torch.Tensor:
    """The factor of one damaged C (D, D), which is repaired in place."""
    diagonal = covariance.diagonal()
    variances = diagonal.clamp(min=1e-6 * float(diagonal.max()))
    for jitter in JITTERS:
        diagonal.copy_(variances * (1 + jitter))
        result, info = linear_algebra.cholesky(covariance)
        if not int(info):
            return result
    covariance.copy_(torch.diag(variances))  # both triangles
    return torch.diag(variances.sqrt())


def power_of_two(values: torch.Tensor) -> torch.Tensor:
    """The largest powers of two not above positive `values`: scaling by them is exact."""
    return values / torch.frexp(values).mantissa / 2
