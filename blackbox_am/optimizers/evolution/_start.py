"""The starting points of search distributions that move a mean."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

import torch

from blackbox_am.core.optimizer import Optimizer
from blackbox_am.core.rng import Stream
from blackbox_am.core.space import Space
from blackbox_am.optimizers._frame import frame_of
from blackbox_am.optimizers._parameters import positive, share

State = TypeVar("State")

Start = Literal["prior", "sample"]
"""At the prior's mean, or at a sample of the prior."""

START_SIGMA = 0.3
"""The default of `start_sigma`."""


def first_mean(space: Space, stream: Stream, start: Start) -> torch.Tensor:
    """(K, D) the first mean, in the frame of `space`."""
    if start == "sample":
        sample = space.sample(stream, 1)[:, 0]
        return frame_of(space, sample).inward(sample)
    return torch.zeros(len(stream.targets), space.dim, device=stream.device, dtype=stream.dtype)


@dataclass(frozen=True)
class StartsAtMean(Optimizer[State]):
    """An optimizer whose state has a `mean` (K, D) in the frame of the space.

    Attributes:
        start: `prior` starts at the prior's mean, `sample` at a sample of the prior, which gives
            several searches for one unit different beginnings.
        prior_pull: share of its distance to the prior's mean that the mean loses in each
            generation, so that latents do not grow without end where longer latents always score
            higher. 0 changes nothing; 0.003 shortens latents noticeably at little cost, see
            `_frame`; from 0.01 on scores suffer.
        start_sigma: first step size of a study that begins at given latents, in standard deviations
            of the prior; a smaller `sigma` stays as it is. A step that fits the prior would leave
            the region that an earlier search has found.
    """

    start: Start = "prior"
    prior_pull: float = 0.0
    start_sigma: float = START_SIGMA

    def __post_init__(self) -> None:
        share(prior_pull=self.prior_pull)
        positive(start_sigma=self.start_sigma)

    def init(self, space: Space, targets: int, stream: Stream) -> State:
        mean = first_mean(space, stream, self.start)
        generation = torch.zeros(targets, dtype=torch.int64, device=mean.device)
        return self.fresh(space, mean, generation)

    @abstractmethod
    def fresh(self, space: Space, mean: torch.Tensor, generation: torch.Tensor) -> State:
        """The state of searches before their first generation.

        Args:
            space: the space that is searched.
            mean: (K, D) where the searches begin, in the frame of the space.
            generation: (K,) int64 zeros.
        """

    def center(self, space: Space, state: State) -> torch.Tensor:
        current: Any = state
        return space.project(frame_of(space, current.mean).outward(current.mean))

    def started_at(self, space: Space, state: State, latents: torch.Tensor) -> State:
        current: Any = state
        mean = frame_of(space, current.mean).inward(latents.to(current.mean))
        changes = {"mean": mean} | self.shortened(state)
        moved: State = replace(current, **changes)
        return moved

    def shortened(self, state: State) -> dict[str, torch.Tensor]:
        """The fields of `state` that hold step sizes, with none above `start_sigma`."""
        sigma: torch.Tensor = state.sigma  # type: ignore[attr-defined]
        return {"sigma": sigma.clamp(max=self.start_sigma)}
