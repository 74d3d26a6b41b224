"""The contract of a store: journals of studies, and their index."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from blackbox_am.core.accounts import Order
from blackbox_am.core.artifacts import Artifacts
from blackbox_am.core.groups import GroupJournals
from blackbox_am.core.leases import Calls, Leases
from blackbox_am.core.principals import Claims, Tokens


@dataclass(frozen=True, slots=True)
class Record:
    """One stored event.

    Attributes:
        sequence: its number in the study's journal, without gaps from 1.
        time: of writing, in seconds since the epoch. Only for display; no computation uses the
            time.
        body: the encoded event.
    """

    sequence: int
    time: float
    body: bytes


@dataclass(frozen=True, slots=True)
class Entry:
    """One event to write.

    Attributes:
        kind: its type as one word, by which `Store.read` can select.
        body: the encoded event.
    """

    kind: str
    body: bytes


@dataclass(frozen=True, slots=True)
class StoredSnapshot:
    """The state of an optimizer and of its study after some generations.

    Attributes:
        generation: number of generations that the optimizer was told.
        sequence: number of the last event of this state.
        body: the optimizer's state, encoded.
        study: the folded study at `sequence`, encoded.
    """

    generation: int
    sequence: int
    body: bytes
    study: bytes = b""


@dataclass(frozen=True, slots=True)
class Summary:
    """A study's row in the index, written with each append.

    Attributes:
        state: the value of its `StudyState`.
        oracle: name of the oracle that evaluates the study; empty if only clients evaluate.
        body: its progress, encoded. Must be small, because it is written with each append.
        folded: the whole folded study, encoded, as of this append; None keeps the folded study that
            was written before.
    """

    state: str
    oracle: str
    body: bytes
    folded: bytes | None = None


@dataclass(frozen=True, slots=True)
class IndexedStudy:
    """The index's data about a study.

    Attributes:
        study_id: its id.
        sequence: number of its last event.
        created_at: time of creation, in seconds since the epoch.
        created: the body of its first event.
        state, body: of the last `Summary`; empty if none was written.
        owner: name of the process that holds the lease; empty if none does.
        damage: what is wrong with a damaged row, whose other fields are then unknown; empty if the
            row is sound.
        principal: the caller to whom the study belongs; empty if nobody claimed the study.
    """

    study_id: str
    sequence: int
    created_at: float
    created: bytes
    state: str
    body: bytes
    owner: str = ""
    damage: str = ""
    principal: str = ""


@dataclass(frozen=True, slots=True)
class Folded:
    """The last written folded study.

    Attributes:
        sequence: number of its last event; the reader must apply later events.
        body: the folded study, encoded.
    """

    sequence: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Note:
    """The last note of a study's owner under one lease.

    Attributes:
        token: token of the lease.
        body: the note.
    """

    token: int
    body: bytes


class Store(ABC):
    """A store of studies. Every method is safe to call from any thread.

    The data that a method writes are durable when it returns, unless the method says otherwise.
    Arguments and results are copies.

    Attributes:
        leases: the right to write to each study.
        calls: calls between the processes that share the store.
        artifacts: large values.
        groups: journals of groups of studies.
        tokens: the tokens of callers.
        claims: what belongs to which caller.
    """

    leases: Leases
    calls: Calls
    artifacts: Artifacts
    groups: GroupJournals
    tokens: Tokens
    claims: Claims

    @abstractmethod
    def append(
        self,
        study_id: str,
        sequence: int,
        events: Sequence[Entry],
        *,
        token: int | None = None,
        summary: Summary | None = None,
        snapshot: StoredSnapshot | None = None,
        order: Order | None = None,
        references: Mapping[str, str] | None = None,
    ) -> None:
        """Writes `events` at `sequence`, `sequence` + 1, ... in one transaction.

        The first event of a study (sequence 1) creates it.

        Args:
            study_id: the study.
            sequence: of the first of `events`.
            events: the events.
            token: of the caller's lease; None if the caller has no lease. A caller without a lease
                can write only while no process holds a lease.
            summary: replaces the study's row in the index, in the same transaction.
            snapshot: replaces the study's previous snapshot, in the same transaction.
            order: for the first event: to whom the study belongs, and what the study takes from
                the account, in the same transaction. None for a study that belongs to nobody.
            references: for the first event: digests of the artifacts that are stored as long as the
                study, by name of the reference, in the same transaction.

        Raises:
            NotFound: if the store lacks one of `references`.
            QuotaExceeded: if the account has too little left for a new study.
            NotOwner: if the caller does not hold the lease.
            SequenceTaken: if another process wrote an event of this number first, or numbers would
                be skipped.
        """

    @abstractmethod
    def read(
        self, study_id: str, after: int = 0, limit: int | None = None, kind: str = ""
    ) -> list[Record]:
        """The events after sequence number `after`, in order.

        Args:
            study_id: the study.
            after: the sequence number before the first.
            limit: how many at most.
            kind: only events of this kind; events of all kinds if empty.

        Raises:
            NotFound: if the study does not exist.
            StoreCorrupt: if an event is missing or damaged.
        """

    @abstractmethod
    def places(self, study_id: str, kinds: Collection[str], *, excluded: bool = False) -> list[int]:
        """The sequence numbers of the events of these kinds, in order, without reading the events.

        Args:
            study_id: the study.
            kinds: the kinds.
            excluded: whether to find the events of all other kinds instead.

        Raises:
            NotFound: if the study does not exist.
        """

    @abstractmethod
    def read_at(self, study_id: str, sequences: Sequence[int]) -> list[Record]:
        """The events with these sequence numbers, in order; numbers without an event are left out.

        Raises:
            StoreCorrupt: if an event is damaged.
        """

    @abstractmethod
    def delete(self, study_id: str) -> None:
        """Deletes a study, its events, snapshots, notes and lease, and the artifacts to which no
        other study refers.

        Raises:
            NotFound: if the study does not exist.
        """

    @abstractmethod
    def load_snapshot(self, study_id: str) -> StoredSnapshot | None:
        """The study's snapshot, or None."""

    # The index

    @abstractmethod
    def find(self, study_id: str) -> IndexedStudy:
        """The index's data about a study.

        Raises:
            NotFound: if the study does not exist.
            StoreCorrupt: if the row or the study's first event is damaged.
        """

    @abstractmethod
    def studies(
        self,
        after: str = "",
        limit: int | None = None,
        states: Collection[str] = (),
        principal: str | None = None,
    ) -> list[IndexedStudy]:
        """The index's data about studies, sorted by id.

        Args:
            after: only ids greater than this.
            limit: how many at most.
            states: only studies in one of these states; studies in all states if empty.
            principal: only studies that belong to this caller; studies of all if None.
        """

    @abstractmethod
    def folded(self, study_id: str) -> Folded | None:
        """The last written folded study, or None."""

    # Notes and requests

    @abstractmethod
    def note(self, study_id: str, token: int, body: bytes) -> None:
        """Stores `body` as the note under the lease, in place of an earlier note under the same
        lease.

        For data that are written too often to wait for the disk each time: a note survives the end
        of the process, but perhaps not a loss of power.

        Raises:
            NotOwner: if another process has taken the lease meanwhile. The note is then not
                written.
        """

    @abstractmethod
    def notes(self, study_id: str) -> list[Note]:
        """The last note under each lease of the study, in the order of the tokens."""

    @abstractmethod
    def remember_request(self, request_id: str, study_id: str) -> str:
        """Binds a create request to a study, once.

        Returns:
            The id that was bound first: `study_id`, or the id of an earlier call.
        """

    @abstractmethod
    def check(self) -> None:
        """Checks that the store can be used now.

        Raises:
            StoreError: if it cannot, such as after its file was deleted or its disk is full.
        """

    @abstractmethod
    def close(self) -> None:
        """Closes the connections."""
