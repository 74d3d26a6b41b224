"""Populations as a whole: around what they begin, and what their better half has in common."""

from __future__ import annotations

import torch

from blackbox_am.core.space import Space
from blackbox_am.optimizers._frame import frame_of
from blackbox_am.optimizers._targetwise import weighted_sum
from blackbox_am.optimizers._weights import rank

START_SPREAD = 0.3
"""Spread of a first population around given latents, in deviations of the prior."""


def elite_weights(scores: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """(K, N) float64: the better half of rows with `scores` (K, N), weighted by rank as in CMA-ES,
    with the sum 1. The only row that is `known` (K, N) weighs 1; without any, all weights are 0.
    """
    ranked = rank(
        torch.where(known, scores, torch.nan), 1, torch.float64, active=False, diagonal=True
    )
    alone = known & (known.sum(-1, keepdim=True) == 1)
    return torch.where(alone, 1.0, ranked.weights)


def center_of(space: Space, rows: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """(K, D) latents inside `space`: the weighted mean of latents `rows` (K, N, D), which are
    finite; of coordinates that are codes, the code with the most weight.

    Args:
        space: the space of the rows.
        rows: (K, N, D).
        weights: (K, N), not negative.
    """
    if space.dtype is not None:
        return vote(rows, weights)
    mean = weighted_sum(weights.to(rows.dtype), rows)
    if space.mixed:
        mean = torch.where(space.codes(rows.device), vote(rows, weights), mean)
    return space.project(mean)


def near(
    space: Space, start: torch.Tensor, sample: torch.Tensor, begun: torch.Tensor
) -> torch.Tensor:
    """(K, P, D) latents of a first generation: `sample` (K, P, D) of the prior, or, for targets
    that have `begun` (K,) at given latents, points around `start` (K, P, D), which is in the frame
    of the space, at `START_SPREAD` times the distance of the sample from the prior's mean.
    """
    frame = frame_of(space, sample)
    around = frame.outward(start + START_SPREAD * frame.inward(sample))
    return torch.where(begun.view(-1, 1, 1), around, sample)


def vote(rows: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """(K, D): at each position the code of `rows` (K, N, D) whose `weights` (K, N) add up to most;
    of equals the one of the earliest row.
    """
    support = torch.zeros(rows.shape, dtype=weights.dtype, device=rows.device)
    for row, weight in zip(rows.unbind(1), weights.unbind(1), strict=True):
        support += weight.view(-1, 1, 1) * (rows == row.unsqueeze(1))
    best = support.amax(1, keepdim=True)
    # argmax does not promise the first of equals.
    places = torch.arange(rows.shape[1], device=rows.device).view(1, -1, 1)
    first = torch.where(support == best, places, rows.shape[1]).amin(1, keepdim=True)
    return rows.gather(1, first)[:, 0]
