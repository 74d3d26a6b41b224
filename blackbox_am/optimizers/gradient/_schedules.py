"""Learning-rate schedules over the steps of an ascent."""

from __future__ import annotations

import math
from typing import Literal

import torch

Schedule = Literal["constant", "cosine", "linear", "step"]
"""`constant`: the learning rate stays. `linear` and `cosine`: it falls to `final_rate` of itself,
evenly, or along half a wave of the cosine. `step`: it is constant in each third of the ascent, and
falls by the root of `final_rate` between two of them.
"""
THIRDS = 3
"""Parts of the schedule `step`."""


def share_of_rate(schedule: Schedule, final_rate: float, progress: torch.Tensor) -> torch.Tensor:
    """The share of the learning rate that applies after `progress` of an ascent.

    The cosine is that of I. Loshchilov and F. Hutter, "SGDR: Stochastic Gradient Descent with Warm
    Restarts" (ICLR 2017), equation 5, for one ascent.

    Args:
        schedule: the schedule.
        final_rate: the share at the end, in [0, 1].
        progress: steps over all steps of the ascent, from 0; values above 1 count as 1.
    """
    progress = progress.clamp(max=1.0)
    if schedule == "linear":
        return 1 - (1 - final_rate) * progress
    if schedule == "cosine":
        return final_rate + (1 - final_rate) * (1 + torch.cos(math.pi * progress)) / 2
    if schedule == "step":
        part = (THIRDS * progress).floor().clamp(max=THIRDS - 1.0)
        middle = torch.where(part == 1, math.sqrt(final_rate), final_rate)
        return torch.where(part == 0, 1.0, middle)
    return torch.ones_like(progress)
