"""Adam's step for cores of many targets, in place.

Source: D. Kingma and J. Ba, "Adam: A Method for Stochastic Optimization" (ICLR 2015),
Algorithm 1, with its betas and epsilon.
"""

from __future__ import annotations

import math

import torch

BETAS = (0.9, 0.999)
EPSILON = 1e-8


def climb(
    point: torch.Tensor,
    slope: torch.Tensor,
    first: torch.Tensor,
    second: torch.Tensor,
    age: torch.Tensor,
    learns: torch.Tensor,
    learning_rate: float,
) -> None:
    """One step of `point` up `slope`, for the targets that learn; the others are left alone.

    Args:
        point, slope, first, second: (K, ...) where to step from, its slope, and the moments, on
            the CPU as all arguments.
        age: (K,) int64 steps that each target has made, this one included.
        learns: (K,) bool.
        learning_rate: of all of them.
    """
    from blackbox_am.optimizers.tensor_train import (
        _kernels as kernels,
    )  # it takes a second to import

    for k in learns.nonzero().flatten().tolist():
        steps = int(age[k])
        rate = learning_rate / (1 - BETAS[0] ** steps)
        shrink = 1 / math.sqrt(1 - BETAS[1] ** steps)
        x, g, m, v = (tensor[k].view(-1).numpy() for tensor in (point, slope, first, second))
        kernels.adam(x, g, m, v, rate, BETAS[0], BETAS[1], shrink, EPSILON)
