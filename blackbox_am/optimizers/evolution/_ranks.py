"""Weights that depend on the order of scores alone.

A generation of which n rows came back is ranked as a population of n. Fewer than two rows cannot be
ranked; their weights are 0.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch

from blackbox_am.optimizers._weights import by_rank


def log_utilities(scores: torch.Tensor, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """Utilities of natural evolution strategies, (K, P), centred and plain; 0 for rows of scores
    (K, P) that are nan.

    The row of rank k, 1 the best, of n weighs max(0, log(n/2 + 1) - log k), divided by the sum
    of these over the rows: T. Glasmachers et al., "Exponential Natural Evolution Strategies"
    (GECCO 2010). Centred ones are less by 1/n, as there.
    """
    size = scores.shape[-1]
    weights = by_rank(scores, _log_table, size, scores.device, dtype)
    return weights[0], weights[1]


def sigma_rate(dim: int) -> float:
    """The learning rate of step sizes in natural evolution strategies in `dim` dimensions:
    D. Wierstra et al., "Natural Evolution Strategies" (JMLR 15, 2014), Table 1.
    """
    return (3 + math.log(dim)) / (5 * math.sqrt(dim))


def centred_ranks(scores: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """(K, P) ranks spread evenly from 1/2 for the best row to -1/2 for the worst, 0 for rows of
    scores (K, P) that are nan.
    """
    size = scores.shape[-1]
    return by_rank(scores, _even_table, size, scores.device, dtype)[0]


@lru_cache(maxsize=256)
def _log_table(
    present: int, population: int, device: torch.device, dtype: torch.dtype
) -> torch.Tensor:
    """(2, P): centred and plain utilities, best first, where `present` rows came back."""
    table = torch.zeros(2, population, dtype=torch.float64)
    if present >= 2:
        raw = (math.log(present / 2 + 1) - torch.arange(1, present + 1).double().log()).clamp(min=0)
        table[1, :present] = raw / raw.sum()
        table[0, :present] = table[1, :present] - 1 / present
    return table.to(device, dtype)


@lru_cache(maxsize=256)
def _even_table(
    present: int, population: int, device: torch.device, dtype: torch.dtype
) -> torch.Tensor:
    """(1, P): ranks from 1/2 to -1/2, best first, where `present` rows came back."""
    table = torch.zeros(1, population, dtype=torch.float64)
    if present >= 2:
        table[0, :present] = 0.5 - torch.arange(present, dtype=torch.float64) / (present - 1)
    return table.to(device, dtype)
