"""The contract of a store: the journal of studies."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Record:
    """One event as it is kept.

    Attributes:
        sequence: its place in the study's journal, gap-free from 1.
        time: when it was written, in seconds since the epoch. For people; nothing depends on it.
        body: the encoded event.
    """

    sequence: int
    time: float
    body: bytes


@dataclass(frozen=True, slots=True)
class StoredSnapshot:
    """Optimizer state after some generations.

    Attributes:
        generation: generations told before it was taken.
        sequence: last event folded in.
        body: the encoded snapshot.
    """

    generation: int
    sequence: int
    body: bytes


class Store(ABC):
    """Keeps the journals. Every method is safe to call from any thread.

    What a method wrote is durable when it returns. Values go in and come out as copies.
    """

    @abstractmethod
    def append(
        self,
        study_id: str,
        sequence: int,
        events: Sequence[bytes],
        snapshot: StoredSnapshot | None = None,
    ) -> None:
        """Writes `events` at `sequence`, `sequence` + 1, ... in one transaction.

        The first event of a study (sequence 1) creates it. A `snapshot` takes the place of
        the study's previous one, in the same transaction.

        Raises:
            SequenceTaken: where another process wrote there first, or a gap would open.
        """

    @abstractmethod
    def read(self, study_id: str, after: int = 0, limit: int | None = None) -> list[Record]:
        """The events after sequence number `after`, in order.

        Raises:
            NotFound: where there is no such study.
        """

    @abstractmethod
    def study_ids(self, after: str = "", limit: int | None = None) -> list[str]:
        """Ids of the studies, sorted, those greater than `after`."""

    @abstractmethod
    def delete(self, study_id: str) -> None:
        """Forgets a study, its events and snapshots.

        Raises:
            NotFound: where there is no such study.
        """

    @abstractmethod
    def load_snapshot(self, study_id: str) -> StoredSnapshot | None:
        """The study's snapshot, or None."""

    @abstractmethod
    def note(self, study_id: str, body: bytes) -> None:
        """Keeps `body` in the place of what was noted for the study before.

        For what is written too often to wait for a disk each time: it outlives the process,
        killed or not, but perhaps not a loss of power.
        """

    @abstractmethod
    def noted(self, study_id: str) -> bytes | None:
        """What was noted last for the study, or None."""

    @abstractmethod
    def remember_request(self, request_id: str, study_id: str) -> str:
        """Binds a create request to a study, once.

        Returns:
            The study bound first: `study_id`, or the one of an earlier call.
        """

    @abstractmethod
    def close(self) -> None:
        """Gives back connections."""
