"""Rows that keep the best point that they have reached."""

from __future__ import annotations

import torch

from blackbox_am.optimizers._weights import descending


def comparable(scores: torch.Tensor) -> torch.Tensor:
    """(K, P) float64 scores without infinities, which a state does not hold; nan becomes 0."""
    limit = torch.finfo(torch.float64).max
    return scores.to(torch.float64).nan_to_num(0.0, posinf=limit, neginf=-limit)


def improves(scores: torch.Tensor, incumbents: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """(K, P) bool: rows of `scores` (K, P) that came back, and whose score is not below the score
    of their incumbent, or that have no incumbent. An equal score replaces the incumbent, so that a
    row can move along a plateau.
    """
    return ~scores.isnan() & (~known | (comparable(scores) >= incumbents))


def best_row(rows: torch.Tensor, scores: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """(K, D): the row of `rows` (K, P, D) with the best known score; the first such row if scores
    are equal.
    """
    order = descending(torch.where(known, scores, torch.nan))
    return rows_at(rows, order[:, :1])[:, 0]


def rows_at(rows: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """(K, N, D): `rows` (K, P, D) at `index` (K, N)."""
    return rows.gather(1, index.unsqueeze(-1).expand(-1, -1, rows.shape[-1]))
