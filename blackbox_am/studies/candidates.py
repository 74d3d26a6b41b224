"""Candidates of the open generation and the results of their measurement."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from blackbox_am.core.observation import Observation


@dataclass(frozen=True)
class Generation:
    """The open generation.

    Attributes:
        index: its number, from 0.
        targets: the active targets, ascending.
        latents: (len(targets), P, D), projected into the space; without the last rows if no target
            wants them.
        wanted: (len(targets), P) bool, the rows to measure: those that the optimizer requests and
            the budget allows.
        centre_rows: in the generation of the re-check, number of the first rows of each target,
            which measure the centre of the search; the others measure the best candidate.
    """

    index: int
    targets: tuple[int, ...]
    latents: torch.Tensor
    wanted: NDArray[np.bool_]
    centre_rows: int = 0

    def in_places(self, observation: Observation) -> torch.Tensor | None:
        """(len(targets), P, D) gradients of the observed rows in their places, nan elsewhere; None
        if the observation has no gradients.
        """
        if observation.gradients is None:
            return None
        gradients = torch.full_like(self.latents, torch.nan)
        places = np.searchsorted(np.asarray(self.targets), observation.targets)
        device = gradients.device
        index = torch.from_numpy(places).to(device), torch.from_numpy(observation.rows).to(device)
        return gradients.index_put_(index, observation.gradients.to(gradients))


@dataclass(frozen=True)
class TellResult:
    """The result of sending measurements."""

    accepted: int
    repeated: int
