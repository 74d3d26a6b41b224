"""Weights that depend on the order of scores alone.

A generation of which n rows came back is ranked as a population of n. Fewer than two rows
cannot be ranked, and weigh nothing.
"""

from __future__ import annotations

import math

import torch

from blackbox_am.optimizers._targetwise import row_sums
from blackbox_am.optimizers._weights import descending


def log_utilities(scores: torch.Tensor, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """Utilities of natural evolution strategies, (K, P), centred and plain; 0 for rows of scores
    (K, P) that are nan.

    The row of rank k, 1 the best, of n weighs max(0, log(n/2 + 1) - log k), divided by the sum
    of these over the rows: T. Glasmachers et al., "Exponential Natural Evolution Strategies"
    (GECCO 2010). Centred ones are less by 1/n, as there.
    """
    valid, rank, present = _ranks(scores)
    raw = (torch.log(present / 2 + 1) - torch.log(rank)).clamp(min=0)
    counted = valid & (present > 1)
    raw = torch.where(counted, raw, 0.0)
    plain = raw / row_sums(raw).unsqueeze(-1).clamp(min=1e-300)
    centred = torch.where(counted, plain - 1 / present.clamp(min=1), 0.0)
    return centred.to(dtype), plain.to(dtype)


def sigma_rate(dim: int) -> float:
    """The learning rate of step sizes in natural evolution strategies in `dim` dimensions:
    D. Wierstra et al., "Natural Evolution Strategies" (JMLR 15, 2014), Table 1.
    """
    return (3 + math.log(dim)) / (5 * math.sqrt(dim))


def centred_ranks(scores: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """(K, P) ranks spread evenly from 1/2 for the best row to -1/2 for the worst, 0 for rows of
    scores (K, P) that are nan.
    """
    valid, rank, present = _ranks(scores)
    weights = 0.5 - (rank - 1) / (present - 1).clamp(min=1)
    return torch.where(valid & (present > 1), weights, 0.0).to(dtype)


def _ranks(scores: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Which rows came back (K, P), their ranks (K, P) from 1 for the best, how many (K, 1)."""
    order = descending(scores)
    places = torch.arange(1, scores.shape[-1] + 1, device=scores.device).expand_as(order)
    rank = torch.empty_like(order).scatter(-1, order, places)
    valid = ~scores.isnan()
    present = valid.sum(-1, keepdim=True)
    return valid, rank.to(torch.float64), present.to(torch.float64)
