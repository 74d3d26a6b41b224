"""The evaluated latents of a generation, as steps from the mean.

Steps are computed from the evaluated latents, since the space may have projected what was asked. A
sampled step is almost never longer than sqrt(D) + 3. A latent that the state did not propose can be
much further away and would distort the state, so its step is shortened to twice that length (the
treatment of injected solutions: N. Hansen, arXiv:1110.4181, with a wider limit).
"""

from __future__ import annotations

import math

import torch

from blackbox_am.optimizers._frame import Frame
from blackbox_am.optimizers._targetwise import norms, possible


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
    """(K, P, D): the evaluated latents, as steps from `mean` in units of `spread`, which is (K, D)
    or (K, 1); 0 if `valid` (K, P) is False.
    """
    origin, inverse = frame.outward(mean), 1 / (frame.scale * spread)
    steps = latents - origin.unsqueeze(1)
    steps *= inverse.unsqueeze(1)
    return steps.masked_fill_(~valid.unsqueeze(-1), 0.0) if possible(~valid) else steps


def shorten(white: torch.Tensor, dim: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Factors (K, P) that bring whitened steps (K, P, D) within reach, and the squared lengths
    (K, P) that they then have.

    A step whose length is not finite is set to 0 in place.
    """
    lengths = norms(white)
    reach = 2 * (math.sqrt(dim) + 3)
    if not possible(~(lengths <= reach)):
        return torch.ones_like(lengths), lengths.square()
    finite = lengths.isfinite()
    lengths = torch.where(finite, lengths, torch.inf)
    white.masked_fill_(~finite.unsqueeze(-1), 0.0)
    return reach / lengths.clamp(min=reach), lengths.clamp(max=reach).square()
