"""A probability law on multi-indices, held as a tensor train.

Cores A_1..A_M, each n matrices of r x r, give a tensor of as many axes (modes) as there are
cores, whose entry at a multi-index is e_1' A_1[i_1] ... A_M[i_M] e_1. With right vectors
z_M = e_1, z_{j-1} = sum_i A_j[i] z_j scaled to length 1, and left vectors q_0 = e_1,
q_j = q_{j-1} A_j[i_j] scaled to length 1, mode j takes the value i, given those before it, with
probability p_j(i) = |q_{j-1} A_j[i] z_j| / sum_k |q_{j-1} A_j[k] z_j|.

With a floor, the values drawn are then redrawn uniformly, each with that probability, and a
redrawn value has no influence on those after it. The likelihood includes the floor in every mode,
as (1 - floor) p_j(i) + floor / n, given the final values of the earlier modes: the values before a
redraw are not known.

Cores are (K, M, n, r, r). Row 1 of the first core and column 1 of the last are all that count.
Sweeps are computed on the CPU. A sweep goes from mode to mode, and the work of one mode is so small
that a CUDA device would spend its time on starting kernels. The compiled kernels of `_kernels`
compute one target at a time, so the result for a target does not depend on the other targets, to
the last bit.
"""

from __future__ import annotations

import torch


def draw(cores: torch.Tensor, uniform: torch.Tensor, floor: float, bits: int = 1) -> torch.Tensor:
    """(K, M / bits, P) int32: samples, made from numbers `uniform` (K, M, P) in [0, 1). The
    values of `bits` modes make one number, the first the lowest.
    """
    # The import of numba takes a second.
    from blackbox_am.optimizers.tensor_train import _kernels as kernels

    targets, modes, population = uniform.shape
    out = torch.empty(targets, modes // bits, population, dtype=torch.int32)
    for core, numbers, picks in zip(cores.cpu(), uniform.cpu(), out, strict=True):
        kernels.draw(core.numpy(), numbers.numpy(), floor, bits, picks.numpy())
    return out.to(cores.device)


def ascent(
    cores: torch.Tensor, picks: torch.Tensor, weights: torch.Tensor, floor: float
) -> torch.Tensor:
    """(K, M, n, r, r): the gradient with respect to `cores` of the sum of weights (K, E) times
    log-likelihoods of samples `picks` (K, M, E). All tensors are on the CPU.
    """
    # The import of numba takes a second.
    from blackbox_am.optimizers.tensor_train import _kernels as kernels

    out = torch.empty_like(cores)
    for core, samples, weight, slope in zip(cores, picks, weights, out, strict=True):
        kernels.ascent(core.numpy(), samples.numpy(), weight.numpy(), floor, slope.numpy())
    return out
