"""An optimizer that wants only some of its rows measured, for tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from blackbox_am.core.optimizer import Optimizer, Proposal
from blackbox_am.core.rng import Stream
from blackbox_am.core.space import Space
from blackbox_am.core.spec import StudySpec


@dataclass(frozen=True)
class HalfWanted:
    """What `inner` proposes, every second row masked out; which half is up to each target.

    Attributes:
        inner: the optimizer that proposes.
    """

    inner: Optimizer[Any]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def ask(self, space: Space, state: Any, stream: Stream) -> Proposal:
        """As `Optimizer.ask`."""
        latents = Proposal.of(self.inner.ask(space, state, stream)).latents
        shift = (latents.to(torch.float64).abs().sum((1, 2)) * 1000).to(torch.int64) % 2
        rows = torch.arange(latents.shape[1], device=latents.device)
        return Proposal(latents, (rows + shift[:, None]) % 2 == 0)


def masked(optimizer: Optimizer[Any], spec: StudySpec) -> Any:
    """`HalfWanted` around a study's optimizer: an `equip` of `LiveStudy`."""
    del spec
    return HalfWanted(optimizer)
