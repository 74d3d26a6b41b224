"""What a generation told, as steps from the mean.

Steps are taken from the latents, not from what was asked: the space may have projected
those. A sampled step is almost never longer than sqrt(D) + 3. A latent that the state did not
propose can be, and would take the state with it; it is pulled back to twice that (the treatment
of injected solutions: N. Hansen, arXiv:1110.4181, with a wider limit).
"""

from __future__ import annotations

import math

import torch

from blackbox_am.optimizers._frame import Frame
from blackbox_am.optimizers._targetwise import row_sums


def proposals(
    frame: Frame, mean: torch.Tensor, spread: torch.Tensor, normal: torch.Tensor
) -> torch.Tensor:
    """(K, P, D) latents: mean (K, D) plus spread (K, D) or (K, 1) times `normal` (K, P, D),
    which is overwritten.
    """
    origin, unit = frame.outward(mean), frame.scale * spread
    return normal.mul_(unit.unsqueeze(1)).add_(origin.unsqueeze(1))


def steps_of(
    frame: Frame,
    latents: torch.Tensor,
    mean: torch.Tensor,
    spread: torch.Tensor,
    valid: torch.Tensor,
) -> torch.Tensor:
    """(K, P, D): what was told, as steps from `mean` in units of `spread`, which is (K, D) or
    (K, 1); 0 where `valid` (K, P) is False.
    """
    origin, unit = frame.outward(mean), frame.scale * spread
    steps = latents - origin.unsqueeze(1)
    steps /= unit.unsqueeze(1)
    return _cleared(steps, valid)


def squares_of(steps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The squares (K, P, D) of `steps`, and their sums (K, P).

    A step whose square is beyond the floating-point format is cleared in place, and says
    nothing.
    """
    squares = steps.square()
    lengths = row_sums(squares)
    finite = lengths.isfinite()
    _cleared(steps, finite)
    return _cleared(squares, finite), torch.where(finite, lengths, 0.0)


def shorten(squared: torch.Tensor, dim: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Factors (K, P) that bring whitened steps within reach, and the squared lengths (K, P) of
    the steps after that.

    Args:
        squared: (K, P) squared lengths of the whitened steps.
        dim: D.
    """
    reach = 2 * (math.sqrt(dim) + 3)
    return reach / squared.sqrt().clamp(min=reach), squared.clamp(max=reach**2)


def _cleared(rows: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    """`rows` (K, P, D) with those set to 0, in place, that are not `kept` (K, P).

    There are hardly ever any, and the CPU looks before it passes over all of them.
    """
    if rows.is_cuda or not bool(kept.all()):
        rows.masked_fill_(~kept.unsqueeze(-1), 0.0)
    return rows
