"""Cumulative step-size adaptation: grow the step while successive moves agree.

Formulas: N. Hansen, "The CMA Evolution Strategy: A Tutorial" (arXiv:1604.00772v2, 2023),
equations 43-45, with the exponent capped at 1 as in the author's reference code.
"""

from __future__ import annotations

import math

import torch

from blackbox_am.optimizers._weights import Ranked

MAX_STEP = 1e6
"""In prior standard deviations. Reached where a score has no upper bound."""
MIN_STEP = 1e-12


def expected_norm(dim: int) -> float:
    """The length of a standard normal vector in `dim` dimensions, to third order."""
    return math.sqrt(dim) * (1 - 1 / (4 * dim) + 1 / (21 * dim**2))


def cumulate(
    path: torch.Tensor, kept: torch.Tensor, gain: torch.Tensor, move: torch.Tensor
) -> torch.Tensor:
    """(K, D): the evolution path after `move`, normalised so that random moves keep it
    standard normal. `kept` and `gain` are those of `Ranked`, `path` and `move` (K, D).
    """
    return kept.unsqueeze(-1) * path + gain.unsqueeze(-1) * move


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
    settled = (1 - torch.exp((generation + 1) * ranked.sigma_fade)).sqrt()
    limit = (1.4 + 2 / (dim + 1)) * expected_norm(dim)
    return (path_norm < limit * settled).to(path_norm.dtype)


def adapt(sigma: torch.Tensor, path_norm: torch.Tensor, ranked: Ranked, dim: int) -> torch.Tensor:
    """(K,): the step size after a generation."""
    surprise = path_norm / expected_norm(dim) - 1
    return sigma * torch.exp((ranked.sigma_rate * surprise).clamp(max=1.0))


def keep_effective(sigma: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
    """(K,): `sigma` kept within what the floating-point format can add to `mean` (K, D).

    A step below the spacing of numbers at the mean would propose the mean itself, and the search
    would learn nothing more. This limit acts only once a search has converged.
    """
    reach = torch.linalg.vector_norm(mean, math.inf, dim=-1)
    spacing = (torch.finfo(mean.dtype).eps * reach).clamp(min=MIN_STEP)
    return torch.maximum(sigma, spacing).clamp(max=MAX_STEP)
