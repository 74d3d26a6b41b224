"""Two-point step-size adaptation: two rows of a generation test the last move of the mean.

Row 0 lies ahead of the mean in the direction of the last move, row 1 as far behind it, both at the
distance of a typical sample. If the row ahead ranks higher, the step was too short; if the row
behind does, it was too long. Where the last moves agree, the row ahead is also a good candidate: it
goes into the next mean with its rank's weight, as momentum does.

Sources: N. Hansen, "CMA-ES with Two-Point Step-Size Adaptation" (arXiv:0805.0231, 2008); N. Hansen,
A. Atamna and A. Auger, "How to Assess Step-Size Adaptation Mechanisms in Randomised Search" (PPSN
2014). The signal is that of the package `cma`, which `nevergrad:DiagonalCMA` runs: the signed root
of the difference of ranks, averaged over about three generations, divided by 0.7 + 2 ln D.
"""

from __future__ import annotations

import math

import torch

from blackbox_am.optimizers._frame import Frame
from blackbox_am.optimizers._targetwise import norms

PAIR = 2
"""Rows that test the last move: the first ones of a generation."""
LEAST = 4
"""The smallest population with such rows."""
FEWEST_DIMENSIONS = 300
"""Dimensions from which on `sep_cma` adapts in two points by default, as the package `cma` does."""
AVERAGED = 0.3
"""Share of the newest signal in the average."""


def damping(dim: int) -> float:
    """The divisor of the averaged signal in `dim` dimensions."""
    return 0.7 + 2 * math.log(dim)


def sample_length(move: torch.Tensor) -> torch.Tensor:
    """(K, D): whitened moves (K, D) with the length of a typical sample, sqrt(D); 0 stays 0."""
    length = norms(move).unsqueeze(-1)
    return move * (math.sqrt(move.shape[-1]) / torch.where(length > 0, length, 1.0))


def place_tests(frame: Frame, rows: torch.Tensor, mean: torch.Tensor, ahead: torch.Tensor) -> None:
    """Replaces the first two latents of `rows` (K, P, D) in place by `mean` (K, D) plus and minus
    `ahead` (K, D), both in the frame; targets whose `ahead` is 0 keep their rows.
    """
    moved = (ahead != 0).any(-1, keepdim=True)
    for row, point in enumerate((mean + ahead, mean - ahead)):
        rows[:, row] = torch.where(moved, frame.outward(point), rows[:, row])


def signal(scores: torch.Tensor, moved: torch.Tensor) -> torch.Tensor:
    """(K,) in [-1, 1], in the dtype of `scores` (K, P): the signed root of the share of rows that
    lie between the two first ones; 0 where one of them is missing, or where `moved` (K,) is False.
    """
    known = ~scores.isnan()
    worse_than = (scores.unsqueeze(1) > scores[:, :PAIR].unsqueeze(-1)).sum(-1)
    others = (known.sum(-1) - 1).clamp(min=1)
    lead = (worse_than[:, 1] - worse_than[:, 0]) / others.to(scores.dtype)
    tests = known[:, :PAIR].all(-1) & moved
    return torch.where(tests, lead.sign() * lead.abs().sqrt(), 0.0)


def averaged(trend: torch.Tensor, newest: torch.Tensor) -> torch.Tensor:
    """(K,): the running average of signals after the `newest` (K,)."""
    return (1 - AVERAGED) * trend + AVERAGED * newest.to(trend.dtype)
