"""Sweeps and steps in plain torch, with which the compiled kernels are compared."""

from __future__ import annotations

import torch

from blackbox_am.optimizers.tensor_train._adam import BETAS, EPSILON
from blackbox_am.optimizers.tensor_train._grid import joined
from blackbox_am.optimizers.tensor_train._kernels import SHORTEST, TINY


def draw_by_torch(
    cores: torch.Tensor, uniform: torch.Tensor, floor: float, bits: int = 1
) -> torch.Tensor:
    """`draw` for all samples and targets at once."""
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
    """(K, E) of samples `picks` (K, M, E). Differentiable by autograd."""
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
    """`ascent` for all samples and targets at once."""
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
    """(K, P, n): the probability of each value of one mode, after left vectors (K, P, r)."""
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


def climb_by_torch(
    point: torch.Tensor,
    slope: torch.Tensor,
    first: torch.Tensor,
    second: torch.Tensor,
    age: torch.Tensor,
    learns: torch.Tensor,
    learning_rate: float,
) -> None:
    """`climb` for all targets at once."""
    wide = (-1, *[1] * (point.ndim - 1))
    dtype = point.dtype
    steps = age.clamp(min=1).to(torch.float64)
    keep, damp = ((1 - learns.to(torch.float64) * (1 - beta)).view(wide) for beta in BETAS)
    rate = torch.where(learns, learning_rate / (1 - BETAS[0] ** steps), 0.0).view(wide)
    shrink = (1 - BETAS[1] ** steps).rsqrt().view(wide)
    first.mul_(keep.to(dtype)).add_(slope * (1 - keep).to(dtype))
    second.mul_(damp.to(dtype)).add_(slope.square() * (1 - damp).to(dtype))
    point.add_(rate.to(dtype) * first / (second.sqrt() * shrink.to(dtype) + EPSILON))
