"""Candidates of the open generation and the results of their measurement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from blackbox_am.core.observation import Observation
from blackbox_am.core.optimizer import Role
from blackbox_am.core.types import Accounting


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
        roles: (len(targets), P) uint8, the `Role` of each row of the search.
        centre_rows: in the generation of the re-check, number of the first rows of each target,
            which measure the centre of the search; the others measure the best candidate.
    """

    index: int
    targets: tuple[int, ...]
    latents: torch.Tensor
    wanted: NDArray[np.bool_]
    roles: NDArray[np.uint8] | None = None
    centre_rows: int = 0

    def counts(self, targets: NDArray[Any], rows: NDArray[Any]) -> Accounting:
        """The account of these rows (N,) by role."""
        if self.roles is None:
            return Accounting(loss_rows=len(rows))
        places = np.searchsorted(np.asarray(self.targets), targets)
        found = np.bincount(self.roles[places, rows], minlength=len(Role)).tolist()
        return Accounting(
            loss_rows=found[Role.LOSS],
            initialisation_rows=found[Role.INITIALISATION],
            check_rows=found[Role.CHECK],
        )

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
