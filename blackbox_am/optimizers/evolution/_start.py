"""Where a search distribution begins."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal, TypeVar

import torch

from blackbox_am.core.optimizer import Optimizer
from blackbox_am.core.rng import Stream
from blackbox_am.core.space import Space
from blackbox_am.optimizers._frame import frame_of

State = TypeVar("State")

Start = Literal["prior", "sample"]
"""At the prior's mean, or at a sample of the prior."""


def first_mean(space: Space, stream: Stream, start: Start) -> torch.Tensor:
    """(K, D) the first mean, in the frame of `space`."""
    if start == "sample":
        sample = space.sample(stream, 1)[:, 0]
        return frame_of(space, sample).inward(sample)
    return torch.zeros(len(stream.targets), space.dim, device=stream.device, dtype=stream.dtype)


class StartsAtMean(Optimizer[State]):
    """An optimizer whose state has a `mean` (K, D), in the frame of the space."""

    def started_at(self, space: Space, state: State, latents: torch.Tensor) -> State:
        fresh: Any = state
        mean = frame_of(space, fresh.mean).inward(latents.to(fresh.mean))
        moved: State = replace(fresh, mean=mean)
        return moved
