"""The rows of the last generations of K searches, and the readout that is fitted to them."""

from __future__ import annotations

import math
from typing import Protocol

import torch

from blackbox_am.core.linear_algebra import matmul
from blackbox_am.optimizers.surrogate._dual_ridge import best_penalty, coefficients

LARGEST = 1e100
"""Scores are moved to at most this size, so that their squares are finite."""
EARLY, EVERY = 4, 5
"""The penalty is chosen in the first `EARLY` generations, and then in every one of `EVERY`."""


class Recent(Protocol):
    """The part of a state that holds the rows. A generation is a block of P rows, and a new block
    replaces the oldest one: block number generation modulo M / P.

    Attributes:
        generation: (K,) int64, generations told.
        pixels: (K, M, F) float32, minus the mean over the generation; 0 for rows that failed.
        scores: (K, M) float64, minus the mean over the generation; 0 for rows that failed.
        present: (K, M) bool: rows that came back, with another one in their generation.
        gram: (K, M, M) float64, products of the rows of `pixels`.
        penalty: (K,) float64, the ridge penalty that was chosen last.
    """

    generation: torch.Tensor
    pixels: torch.Tensor
    scores: torch.Tensor
    present: torch.Tensor
    gram: torch.Tensor
    penalty: torch.Tensor


def remember(state: Recent, k: int, pixels: torch.Tensor, scores: torch.Tensor) -> None:
    """Replaces the oldest block of target `k` by a generation, in place.

    Args:
        state: before the generation is counted.
        k: position of the target.
        pixels: (P, F), with nan in rows that could not be rendered.
        scores: (P,), nan for rows that failed.
    """
    rows = len(scores)
    first = int(state.generation[k]) * rows % state.pixels.shape[1]
    block = slice(first, first + rows)
    came = ~scores.isnan() & pixels.isfinite().all(-1)
    came &= came.sum() > 1
    state.pixels[k, block] = _centred(pixels, came)
    state.scores[k, block] = _centred(bounded(scores).unsqueeze(1), came).squeeze(1)
    state.present[k, block] = came
    products = matmul(state.pixels[k], state.pixels[k, block].T).to(torch.float64)
    state.gram[k, :, block] = products
    state.gram[k, block] = products.T


def readout(state: Recent, k: int, rows: int, decay: float) -> torch.Tensor:
    """(F,) float32 of length 1: the direction in which the pixels of target `k` raise its score,
    after its last generation was counted; 0 if nothing could be learned. Sets its penalty.

    Args:
        state: with the last generation in it.
        k: position of the target.
        rows: P.
        decay: generations after which a row has 1 / e of its weight.
    """
    told = int(state.generation[k])
    filled = min(told * rows, state.pixels.shape[1])
    ages = _ages(told, rows, state.pixels.shape[1], state.scores.device)[:filled]
    weights = torch.exp(-ages / decay) * state.present[k, :filled]
    gram, wanted = state.gram[k, :filled, :filled], state.scores[k, :filled]
    size = (weights * gram.diagonal()).sum() / weights.sum()
    spread = (weights * wanted.square()).sum()
    nothing = torch.zeros_like(state.pixels[k, 0])
    if not (bool(size > 0) and bool(spread > 0)):
        return nothing
    roots = weights.sqrt()
    gram = gram * (roots.unsqueeze(1) * (roots / size))
    wanted = wanted * (roots / spread.sqrt())
    if told <= EARLY or told % EVERY == 0:
        state.penalty[k] = best_penalty(gram, wanted)
    shares = roots * coefficients(gram, wanted, float(state.penalty[k]))
    found = matmul(state.pixels[k, :filled].T, shares.to(torch.float32))
    length = found.norm()
    return found / length if bool(length > 0) and bool(length.isfinite()) else nothing


def bounded(scores: torch.Tensor) -> torch.Tensor:
    """(P,) float64 scores without infinities, which become the largest or smallest of the others,
    as an infinity says nothing of a slope.
    """
    scores = scores.to(torch.float64)
    known = scores[scores.isfinite()]
    if len(known) == 0:
        return scores.nan_to_num(math.nan, 0.0, 0.0)
    return scores.clamp(known.min(), known.max()).clamp(-LARGEST, LARGEST)


def _ages(told: int, rows: int, size: int, device: torch.device) -> torch.Tensor:
    """(M,) float64: for each row of the archive the generations since it was told, 0 for the last
    generation.
    """
    blocks = torch.arange(size // rows, dtype=torch.float64, device=device)
    return ((told - 1 - blocks) % (size // rows)).repeat_interleave(rows)


def _centred(values: torch.Tensor, came: torch.Tensor) -> torch.Tensor:
    """(P, F) `values` minus their mean over the rows that `came`; 0 in the others."""
    kept = torch.where(came.unsqueeze(1), values, 0.0)
    return torch.where(came.unsqueeze(1), kept - kept.sum(0) / came.sum().clamp(min=1), 0.0)
