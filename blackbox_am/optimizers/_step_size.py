"""Cumulative step-size adaptation: grow the step while successive moves agree.

Formulas: N. Hansen, "The CMA Evolution Strategy: A Tutorial" (arXiv:1604.00772v2, 2023),
equations 43-45, with the exponent capped at 1 as in the author's reference code.
"""

from __future__ import annotations

import math

import torch

from blackbox_am.optimizers._weights import Ranked

MAX_STEP = 1e6
"""In prior standard deviations. Reached on a score that grows without end."""
MIN_STEP = 1e-12


def expected_norm(dim: int) -> float:
    """The length of a standard normal vector in `dim` dimensions, to third order."""
    return math.sqrt(dim) * (1 - 1 / (4 * dim) + 1 / (21 * dim**2))


def cumulate(
    path: torch.Tensor, rate: torch.Tensor, mu_eff: torch.Tensor, move: torch.Tensor
) -> torch.Tensor:
    """(K, D): the evolution path after `move`, normalised so that random moves keep it
    standard normal. `rate` and `mu_eff` are (K,), `path` and `move` (K, D).
    """
    gain = (rate * (2 - rate) * mu_eff).sqrt()
    return (1 - rate).unsqueeze(-1) * path + gain.unsqueeze(-1) * move


def is_steady(
    path_norm: torch.Tensor, ranked: Ranked, generation: torch.Tensor, dim: int
) -> torch.Tensor:
    """(K,) 1 or 0: h_sigma, which halts the path of C while the step size still grows fast.

    Args:
        path_norm: (K,) length of the step-size path.
        ranked: the generation that was just learnt.
        generation: (K,) generations before this one.
        dim: D.
    """
    exponent = 2 * (generation + 1).to(path_norm.dtype)
    settled = (1 - torch.exp(exponent * torch.log(1 - ranked.c_sigma))).sqrt()
    limit = (1.4 + 2 / (dim + 1)) * expected_norm(dim)
    return (path_norm < limit * settled).to(path_norm.dtype)


def adapt(sigma: torch.Tensor, path_norm: torch.Tensor, ranked: Ranked, dim: int) -> torch.Tensor:
    """(K,): the step size after a generation."""
    surprise = path_norm / expected_norm(dim) - 1
    return sigma * torch.exp((ranked.c_sigma / ranked.d_sigma * surprise).clamp(max=1.0))


def keep_effective(sigma: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
    """(K,): `sigma` kept within what the floating-point format can add to `mean` (K, D).

    A step below the spacing of numbers at the mean proposes the mean again and again, and
    the state would wither. This only acts once a search has converged.
    """
    spacing = torch.finfo(mean.dtype).eps * mean.abs().amax(dim=-1)
    return torch.minimum(
        torch.maximum(sigma, spacing.clamp(min=MIN_STEP)), sigma.new_tensor(MAX_STEP)
    )
