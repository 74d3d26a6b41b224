"""A probability law on multi-indices, held as a tensor train.

Cores A_1..A_M, each n matrices of r x r, give a tensor of as many axes (modes) as there are
cores, whose entry at a multi-index is e_1' A_1[i_1] ... A_M[i_M] e_1. With right vectors
z_M = e_1, z_{j-1} = sum_i A_j[i] z_j scaled to length 1, and left vectors q_0 = e_1,
q_j = q_{j-1} A_j[i_j] scaled to length 1, mode j takes the value i, given those before it, with
probability p_j(i) = |q_{j-1} A_j[i] z_j| / sum_k |q_{j-1} A_j[k] z_j|.

With a floor, the values drawn are then redrawn uniformly, each with that probability, and a
redrawn value has no influence on those after it. The likelihood of values allows for it mode by
mode, as (1 - floor) p_j(i) + floor / n after the values as they are seen: what was there before a
redraw is not known.

Cores are (K, M, n, r, r). Row 1 of the first core and column 1 of the last are all that count.
CPU tensors are swept by the compiled kernels of `_kernels`, others by torch, mode by mode.
The two agree to rounding. Kernels take a target at a time, which so comes out the same to the
last bit whatever the others are; sweeps by torch promise that to rounding only.
"""

from __future__ import annotations

import torch

from blackbox_am.optimizers.tensor_train._grid import joined

TINY = 1e-12
"""Added to every weight, so that weights that are all 0 have a distribution."""
SHORTEST = 1e-30
"""Squares of lengths are taken to be this at least. Like `TINY`, it is compiled into
`_kernels`, which is compiled again only when its own file changes."""


def draw(cores: torch.Tensor, uniform: torch.Tensor, floor: float, bits: int = 1) -> torch.Tensor:
    """(K, M / bits, P) int32: samples, made from numbers `uniform` (K, M, P) in [0, 1). The
    values of `bits` modes make one number, the first the lowest.
    """
    if cores.device.type != "cpu":
        return draw_by_torch(cores, uniform, floor, bits)
    from blackbox_am.optimizers.tensor_train import (
        _kernels as kernels,
    )  # it takes a second to import

    targets, modes, population = uniform.shape
    out = torch.empty(targets, modes // bits, population, dtype=torch.int32)
    for core, numbers, picks in zip(cores, uniform, out, strict=True):
        kernels.draw(core.numpy(), numbers.numpy(), floor, bits, picks.numpy())
    return out


def ascent(
    cores: torch.Tensor, picks: torch.Tensor, weights: torch.Tensor, floor: float
) -> torch.Tensor:
    """(K, M, n, r, r): the gradient with respect to `cores` of the sum of weights (K, E) times
    log-likelihoods of samples `picks` (K, M, E).
    """
    if cores.device.type != "cpu":
        return ascent_by_torch(cores, picks, weights, floor)
    from blackbox_am.optimizers.tensor_train import (
        _kernels as kernels,
    )  # it takes a second to import

    out = torch.empty_like(cores)
    for core, samples, weight, slope in zip(cores, picks, weights, out, strict=True):
        kernels.ascent(core.numpy(), samples.numpy(), weight.numpy(), floor, slope.numpy())
    return out


def draw_by_torch(
    cores: torch.Tensor, uniform: torch.Tensor, floor: float, bits: int = 1
) -> torch.Tensor:
    """`draw` on any device, for all samples and targets at once."""
    rank = cores.shape[-1]
    left = _first(uniform[:, 0], rank)
    picks = []
    for core, right, numbers in zip(
        cores.unbind(1), right_vectors(cores), uniform.unbind(1), strict=True
    ):
        size = core.shape[1]
        again = numbers < floor
        scaled = numbers * (size / floor if floor > 0 else 0.0)
        value = scaled.to(torch.int64).clamp(max=size - 1)
        rest = torch.where(again, scaled - value, (numbers - floor) / (1 - floor or 1.0))
        sums = _chances(core, right, left, 0.0).cumsum(-1)[..., :-1]
        pick = (rest.unsqueeze(-1) >= sums).sum(-1)
        left = _advance(core, left, pick)
        picks.append(torch.where(again, value, pick))
    return joined(torch.stack(picks, 1).to(torch.int32), bits)


def log_likelihood(cores: torch.Tensor, picks: torch.Tensor, floor: float) -> torch.Tensor:
    """(K, E) of samples `picks` (K, M, E). Autograd can follow it."""
    left = _first(picks[:, 0].to(cores.dtype), cores.shape[-1])
    total = torch.zeros_like(left[..., 0])
    for core, right, pick in zip(
        cores.unbind(1), right_vectors(cores), picks.to(torch.int64).unbind(1), strict=True
    ):
        chances = _chances(core, right, left, floor)
        total = total + chances.gather(-1, pick.unsqueeze(-1)).squeeze(-1).log()
        left = _advance(core, left, pick)
    return total


def ascent_by_torch(
    cores: torch.Tensor, picks: torch.Tensor, weights: torch.Tensor, floor: float
) -> torch.Tensor:
    """`ascent` on any device, for all samples and targets at once."""
    with torch.enable_grad():
        leaf = cores.detach().clone().requires_grad_()
        total = (weights * log_likelihood(leaf, picks, floor)).sum()
    (slope,) = torch.autograd.grad(total, leaf)
    return slope


def right_vectors(cores: torch.Tensor) -> list[torch.Tensor]:
    """z_1 to z_M, each (K, r)."""
    right = _first(cores[:, 0, 0, 0, 0], cores.shape[-1])
    found = [right]
    for core in reversed(cores.unbind(1)[1:]):
        right = _unit((core.sum(1) * right.unsqueeze(-2)).sum(-1))
        found.append(right)
    return found[::-1]


def _first(like: torch.Tensor, rank: int) -> torch.Tensor:
    """(..., r) the first unit vector, for every number of `like` (...)."""
    return torch.eye(1, rank, device=like.device, dtype=like.dtype)[0].expand(*like.shape, rank)


def _chances(
    core: torch.Tensor, right: torch.Tensor, left: torch.Tensor, floor: float
) -> torch.Tensor:
    """(K, P, n): how likely each value of one mode is, after left vectors (K, P, r)."""
    applied = (core * right[:, None, None]).sum(-1)
    weights = (left @ applied.transpose(-1, -2)).abs() + TINY
    return (1 - floor) * weights / weights.sum(-1, keepdim=True) + floor / core.shape[1]


def _advance(core: torch.Tensor, left: torch.Tensor, pick: torch.Tensor) -> torch.Tensor:
    """(K, P, r): left vectors after values `pick` (K, P) of one mode."""
    targets = torch.arange(len(core), device=core.device).unsqueeze(-1)
    return _unit((left.unsqueeze(-1) * core[targets, pick]).sum(-2))


def _unit(vectors: torch.Tensor) -> torch.Tensor:
    """Vectors (..., r) scaled to length 1."""
    return vectors * vectors.square().sum(-1, keepdim=True).clamp(min=SHORTEST).rsqrt()
