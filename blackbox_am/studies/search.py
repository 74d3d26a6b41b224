"""The optimizer's side of a study: its state, updated along with the study."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from blackbox_am.core import state as states
from blackbox_am.core.checksums import checksum
from blackbox_am.core.linear_algebra import numerics
from blackbox_am.core.optimizer import Optimizer, Proposal, Role
from blackbox_am.core.rng import Stream
from blackbox_am.core.space import Space, build_space
from blackbox_am.core.spec import ArrayData
from blackbox_am.core.types import FloatArray
from blackbox_am.errors import Unsupported
from blackbox_am.plugins import build_optimizer
from blackbox_am.studies.candidates import Generation
from blackbox_am.studies.equipment import Equip, nothing
from blackbox_am.studies.events import GenerationClosed
from blackbox_am.studies.scoring import Bools
from blackbox_am.studies.study import Study

log = logging.getLogger(__name__)


class Search:
    """The running optimizer of one study.

    The object has the state of all K targets. Finished targets stay in the state, so that a raised
    budget can continue them; only active targets are asked and told.

    Attributes:
        optimizer: the optimizer.
        space: the latent space.
        device: device of the tensors.
    """

    def __init__(self, study: Study, device: torch.device, equip: Equip = nothing) -> None:
        optimizer = build_optimizer(study.optimizer)
        self.optimizer: Optimizer[Any] = equip(optimizer, study.spec)
        self.space: Space = build_space(study.space)
        self.device = device
        self._began_on = study.created.numerics
        targets = range(len(study.targets))
        self._state = self.optimizer.init(
            self.space, len(targets), self._stream(study, "init", targets)
        )
        self._start = _start(study, self.space, self.device)
        if self._start is not None:
            self._state = self.optimizer.started_at(self.space, self._state, self._start)

    def begins_at(self, optimizer: Optimizer[Any], study: Study, start: ArrayData) -> bool:
        """Whether `optimizer` can begin the search at latents (K, D)."""
        targets = range(len(study.targets))
        state = optimizer.init(self.space, len(targets), self._stream(study, "init", targets))
        try:
            optimizer.started_at(self.space, state, torch.tensor(start.numpy(), device=self.device))
        except Unsupported:
            return False
        return True

    def ask(self, study: Study) -> Generation:
        """The open generation with latents inside the space. Pure.

        Latents that were given to clients are taken from the journal and not asked again.
        """
        if study.rechecking:
            return self._best_again(study)
        if study.opened is None:
            latents, mask, roles = self._propose(study)
        else:
            latents, mask = torch.tensor(study.opened, device=self.device), None
            roles = study.opened_roles
        return Generation(study.generation, study.active, latents, study.wanted(mask), roles)

    def _best_again(self, study: Study) -> Generation:
        """The generation of the re-check: copies of each centre, then of each best candidate."""
        active, rows = list(study.active), study.rows
        stored = [study.targets[index].best_latent for index in active]
        best = torch.from_numpy(np.stack([one for one in stored if one is not None]))
        with torch.no_grad():
            centre = self.optimizer.center(self.space, self._state)
        count = 0 if centre is None else rows // 2
        latents = best.to(self.device)[:, None].repeat(1, rows, 1)
        if centre is not None:
            latents[:, :count] = self.space.project(centre[active]).to(latents)[:, None]
        if study.opened is not None:
            latents = torch.tensor(study.opened, device=self.device)
        return Generation(study.generation, study.active, latents, study.wanted(), None, count)

    def _propose(self, study: Study) -> tuple[torch.Tensor, Bools | None, NDArray[np.uint8] | None]:
        """(active, p, D) latents of the p <= P rows that the optimizer proposes, which rows
        (active, P) it wants measured, and the roles (active, P) of the rows.
        """
        active = _some(study)
        state = self._state if active is None else states.select(self._state, active)
        with torch.no_grad():
            asked = Proposal.of(
                self.optimizer.ask(self.space, state, self._stream(study, "ask", study.active))
            )
            asked = replace(asked, latents=self.space.project(asked.latents))
            if self._start is not None and study.generation == 0:
                asked = asked.led_by(self._start[list(study.active)])
            wanted = None if asked.wanted is None else asked.wanted.cpu().numpy()
            missing = study.rows - asked.latents.shape[1]
            if missing:  # rows at the end that no target wants
                shown = asked.mask().cpu().numpy() if wanted is None else wanted
                wanted = np.pad(shown, ((0, 0), (0, missing)))
            return asked.latents, wanted, self._roles(study, asked)

    def _roles(self, study: Study, asked: Proposal) -> NDArray[np.uint8] | None:
        """(active, P) the roles of the rows; None if their scores lead the search."""
        begins, shape = study.generation == 0, (len(study.active), study.rows)
        if begins and self.optimizer.begins_apart:
            return np.full(shape, Role.INITIALISATION, np.uint8)
        started = begins and self._start is not None
        if asked.roles is None and not started:
            return None
        roles = np.zeros(shape, np.uint8)
        if asked.roles is not None:
            told = asked.roles.cpu().numpy()
            roles[:, : told.shape[1] if told.shape[1] > 1 else None] = told
        if started:
            roles[:, 0] = Role.INITIALISATION
        return roles

    def center(self) -> torch.Tensor | None:
        """(K, D) the point about which the optimizer samples now, for every target, finished ones
        included, inside the space; None for an optimizer without such a point. Pure.
        """
        with torch.no_grad():
            return self.optimizer.center(self.space, self._state)

    def learn(
        self,
        study: Study,
        latents: torch.Tensor,
        scores: FloatArray,
        gradients: torch.Tensor | None = None,
    ) -> None:
        """Tell the optimizer the open generation.

        Args:
            study: the study before the generation is closed.
            latents: (active, p, D), as proposed.
            scores: (active, P) float64, or fewer rows at the end of the budget; nan for rows that
                failed and for rows that the optimizer did not want.
            gradients: (active, P, D) for order 1; nan for rows that were not measured.
        """
        told = torch.full(latents.shape[:2], torch.nan, dtype=torch.float64)
        shown = min(latents.shape[1], scores.shape[1])
        told[:, :shown] = torch.tensor(scores[:, :shown])
        told = told.to(self.device)
        if self.optimizer.replay_only:
            self._propose(study)  # if latents came from the journal
        active = _some(study)
        with torch.no_grad():
            if active is None:
                self._state = self.optimizer.tell(self.space, self._state, latents, told, gradients)
            else:
                part = states.select(self._state, active)
                part = self.optimizer.tell(self.space, part, latents, told, gradients)
                self._state = states.merge(self._state, active, part)

    def relearn(self, study: Study, event: GenerationClosed) -> bool:
        """Tell the optimizer a generation from the journal; returns whether this was possible.

        It is impossible if the latents differ (on another device or with another library), unless
        the journal has them and the optimizer accepts them. It is also impossible for order 1,
        because the journal has no gradients.
        """
        if self.optimizer.order == 1:
            return False
        if event.latents is not None and not self.optimizer.replay_only:
            latents = torch.tensor(event.latents.numpy(), device=self.device)
            self.learn(study, latents, event.scores.numpy())
            return True
        try:
            latents, _, _ = self._propose(study)
            if checksum(latents) != event.checksum:
                return False
            self.learn(study, latents, event.scores.numpy())
        except Unsupported as error:  # another version of a library may raise an error here
            log.warning("generation %d cannot be replayed: %s", event.generation, error)
            return False
        return True

    def owns_opened(self, study: Study) -> bool:
        """Whether the optimizer's present proposal is that of the open generation.

        Measured rows belong to the proposal with their checksum. Latents that were given to clients
        are in the journal; they matter for a library only, which accepts scores of its own
        proposals and of no others.
        """
        expected = study.measured.checksum
        if study.opened is None and not expected:
            return True
        if study.opened is not None and (study.rechecking or not self.optimizer.replay_only):
            return True
        try:
            if study.opened is None:
                return checksum(self.ask(study).latents) == expected
            proposed, _, _ = self._propose(study)
            return bool(np.array_equal(proposed.cpu().numpy(), study.opened))
        except Unsupported as error:
            log.warning("generation %d cannot be replayed: %s", study.generation, error)
            return False

    def warning(self, exact: bool) -> str:
        """Message about the point from which a search continues that could not be replayed to its
        end, and about another processor than at its start; empty if there is nothing to say.
        """
        now = numerics(self.device)
        moved = (
            f"the study began on another machine or in another mode ({self._began_on}; now {now}); "
            "last bits may differ"
        )
        parts = ["" if exact else self._inexact(), moved if self._began_on not in ("", now) else ""]
        return "; ".join(filter(None, parts))

    def _inexact(self) -> str:
        if self.optimizer.replay_only:
            return (
                "latents could not be reproduced on this device, or with this version of the "
                "library; going on from the last generation that could"
            )
        return "latents could not be reproduced on this device; going on from the last snapshot"

    def memory_bytes(self, study: Study) -> int:
        """Approximate memory use of the search and its study, in bytes."""
        opened = 0 if study.opened is None else study.opened.nbytes
        best = sum(t.best_latent.nbytes for t in study.targets if t.best_latent is not None)
        return self.state_bytes + study.measured.values.nbytes + opened + best + 2**16

    def needed_bytes(self, targets: int) -> int:
        """The most memory that a search of K targets needs while it is asked, in bytes."""
        return self.optimizer.memory_bytes(self.space, targets)

    @property
    def state_bytes(self) -> int:
        """Bytes of the optimizer's state, approximately the size of a snapshot."""
        return sum(tensor.nbytes for tensor in states.arrays(self._state).values())

    def snapshot(self) -> bytes:
        """The optimizer's state, for `restore`."""
        return states.to_bytes(self._state)

    def restore(self, snapshot: bytes) -> None:
        """Set the state to that of `snapshot`."""
        self._state = states.from_bytes(self.optimizer.state_type, snapshot, self.device)

    def _stream(self, study: Study, purpose: str, targets: Sequence[int]) -> Stream:
        keys = [study.targets[index].key for index in targets]
        return Stream(study.spec.seed, purpose, study.generation, keys, device=self.device)


def _start(study: Study, space: Space, device: torch.device) -> torch.Tensor | None:
    """(K, D) the latents at which the search begins; None for the prior."""
    if study.created.start is None:
        return None
    return torch.tensor(study.created.start.numpy(), device=device, dtype=space.dtype)


def _some(study: Study) -> torch.Tensor | None:
    """Positions of the active targets, or None if all targets are active."""
    if len(study.active) == len(study.targets):
        return None
    return torch.tensor(study.active, dtype=torch.int64)
