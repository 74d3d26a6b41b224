"""A study and its optimizer in the process that owns it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor

import msgspec
import numpy as np
import torch

from blackbox_am.core.checksums import checksum
from blackbox_am.core.observation import Observation
from blackbox_am.core.spec import ArrayData
from blackbox_am.core.store import Store, StoredSnapshot
from blackbox_am.core.types import Accounting
from blackbox_am.errors import StudyClosed
from blackbox_am.studies import decisions
from blackbox_am.studies.candidates import Generation
from blackbox_am.studies.decisions import ToldRows
from blackbox_am.studies.equipment import Equip, nothing
from blackbox_am.studies.events import (
    Event,
    GenerationClosed,
    GenerationOpened,
    Rechecked,
    RowsTold,
)
from blackbox_am.studies.journalled import JournalledStudy
from blackbox_am.studies.ownership import Ownership
from blackbox_am.studies.scoring import Bools
from blackbox_am.studies.search import Search
from blackbox_am.studies.snapshots import Snapshots
from blackbox_am.studies.study import Study
from blackbox_am.studies.successes import missing


class SearchedStudy(JournalledStudy):
    """A study whose generations are proposed by its optimizer, and told to it.

    Attributes:
        search: the running optimizer.
    """

    def __init__(
        self,
        store: Store,
        study_id: str,
        study: Study,
        *,
        ownership: Ownership | None = None,
        device: torch.device | str = "cpu",
        equip: Equip = nothing,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(store, study_id, study, ownership, clock)
        self._device, self._equip = torch.device(device), equip
        self._clock = clock
        self._started = clock()
        self._take_optimizer()
        self._open: Generation | None = None
        self._taken = True

    @property
    def memory_bytes(self) -> int:
        """Approximate memory use, in bytes."""
        asked = 0 if self._open is None else self._open.latents.nbytes
        return self.search.memory_bytes(self.study) + asked

    @property
    def needed_bytes(self) -> int:
        """The most memory that the study needs while it runs, in bytes."""
        return max(self.memory_bytes, self.search.needed_bytes(len(self.study.targets)))

    def generation(self) -> Generation:
        """The open generation. Repeated calls return the same generation.

        The generation before may still be being written.

        Raises:
            StudyClosed: if every target is finished.
        """
        with self._locked(ahead=True):
            if self.study.exhausted:
                raise StudyClosed("every target of the study is finished; extend its budget first")
            if self._open is None:
                self._open = self.search.ask(self.study)
                self._started = self._clock()
            return self._open

    def tell_generation(
        self,
        generation: Generation,
        observation: Observation,
        spent: Accounting | None = None,
        writer: Executor | None = None,
    ) -> bool:
        """Adds the measurements of a whole generation.

        Args:
            generation: as `generation` returned it.
            observation: of its wanted rows. Rows that clients have measured meanwhile keep the
                clients' values.
            spent: account of the oracle's calls for these rows; the observation's usage if None.
            writer: writes the closed generation while the caller goes on with the next one; see
                `written`. The measurements are durable when the method returns if None.

        Returns:
            Whether the observation had new rows. If clients were faster, nothing is written.

        Raises:
            StudyClosed: if the study has ended meanwhile.
        """
        with self._locked():
            if generation.index != self.study.generation and self.study.state.active:
                return False
            told = ToldRows(
                generation.index,
                observation.targets,
                observation.rows,
                observation.values,
                observation.rendered,
            )
            event, _ = decisions.rows_told(self.study, told, self._wanted())
            if event is not None:
                spent = observation.usage if spent is None else spent
                spent += self._purposes(generation, event)
                gradients = generation.in_places(observation)
                self._record(msgspec.structs.replace(event, spent=spent), gradients, writer)
            return event is not None

    # Inside

    def _purposes(self, generation: Generation, told: RowsTold) -> Accounting:
        """The account of told rows by what they were measured for; the meter counts re-checks."""
        if self.study.rechecking:
            return Accounting()
        targets, rows = told.targets.numpy(), told.rows.numpy()
        match self.study.spec.measured_for:
            case "clean":
                return Accounting(clean_rows=len(rows))
            case "verify":
                return Accounting(verify_rows=len(rows))
            case "search":
                return generation.counts(targets, rows)

    def _take_optimizer(self) -> None:
        self.search = Search(self.study, self._device, self._equip)
        self._snapshots = Snapshots(self.search, self._clock)

    def _record(
        self,
        event: RowsTold,
        gradients: torch.Tensor | None = None,
        writer: Executor | None = None,
    ) -> None:
        """Writes measurements; with the last row, the generation closes."""
        merged, generation = self.study.merged(event), self.generation()
        if missing(self.study, generation.wanted, merged).any():
            if self.study.opened is None and not merged.checksum:
                event = msgspec.structs.replace(event, checksum=checksum(generation.latents))
            self._append([event])
            return
        scored, seconds = self.study.scored(merged), self._clock() - self._started
        end: GenerationClosed | Rechecked
        if self.study.rechecking:
            end = decisions.rechecked(self.study, scored, generation, seconds)
        else:
            end = decisions.closed(self.study, scored, generation.latents, seconds)
            try:
                self.search.learn(self.study, generation.latents, scored.scores, gradients)
            except BaseException:
                self.stale = True  # the optimizer's state may be ahead of the journal
                raise
        clients = self.study.opened is not None and self.study.spec.oracle is None
        self._append(self._closing(event, end, clients=clients), writer)
        self.leases.clear()
        if self.study.exhausted:
            self.conclude()

    def _closing(
        self, told: RowsTold, end: GenerationClosed | Rechecked, *, clients: bool
    ) -> Iterator[Event]:
        """The events that close the open generation.

        If only clients evaluate the study, the next generation is opened in the same transaction,
        so that the next `take` need not wait for the disk.
        """
        yield told
        yield end
        self._open = None
        if clients and not self.study.exhausted:
            self._open, self._taken = self.search.ask(self.study), False
            yield self._opening(self._open)

    def _wanted(self) -> Bools:
        """The rows of the open generation to measure."""
        if self.study.exhausted or not self.study.state.active:
            return self.study.wanted()
        return self.generation().wanted

    def _reopened(self) -> None:
        self._open = None

    def _snapshot(self) -> StoredSnapshot | None:
        return self._snapshots.due(self.study.generation, self.study)

    @staticmethod
    def _opening(generation: Generation) -> GenerationOpened:
        latents = ArrayData.of(generation.latents.cpu().numpy())
        wanted = ArrayData.of(generation.wanted.astype(np.uint8))
        roles = None if generation.roles is None else ArrayData.of(generation.roles)
        return GenerationOpened(generation.index, latents, wanted, roles)
