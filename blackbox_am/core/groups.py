"""The contract of the journals of groups, beside those of studies."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GroupRecord:
    """One event of a group as it is kept.

    Attributes:
        sequence: its place in the group's journal, gap-free from 1.
        time: when it was written, in seconds since the epoch.
        body: the encoded event.
    """

    sequence: int
    time: float
    body: bytes


class GroupJournals(ABC):
    """Keeps the journals of groups. Every method is safe to call from any thread."""

    @abstractmethod
    def append(self, group_id: str, sequence: int, body: bytes) -> None:
        """Writes an event at `sequence`, durable when it returns. Event 1 creates the group.

        Raises:
            SequenceTaken: where another process wrote there first, or a gap would open.
        """

    @abstractmethod
    def read(self, group_id: str) -> list[GroupRecord]:
        """All events of a group, in order.

        Raises:
            NotFound: where there is no such group.
            StoreCorrupt: where an event is damaged.
        """

    @abstractmethod
    def ids(self, after: str = "", limit: int | None = None) -> list[str]:
        """Ids of the groups, sorted, those greater than `after`."""

    @abstractmethod
    def delete(self, group_id: str) -> None:
        """Forgets a group's journal; without effect where there is none. Its studies stay."""
