"""The contract of a store for the journals of groups."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GroupRecord:
    """One stored event of a group.

    Attributes:
        sequence: its number in the group's journal, without gaps from 1.
        time: of writing, in seconds since the epoch.
        body: the encoded event.
    """

    sequence: int
    time: float
    body: bytes


class GroupJournals(ABC):
    """Stores the journals of groups. Every method is safe to call from any thread."""

    @abstractmethod
    def append(self, group_id: str, sequence: int, body: bytes, *, principal: str = "") -> None:
        """Writes an event at `sequence`. The event is durable when the method returns. Event 1
        creates the group, which then belongs to `principal`; empty for nobody.

        Raises:
            SequenceTaken: if another process wrote an event of this number first, or numbers would
                be skipped.
        """

    @abstractmethod
    def read(self, group_id: str) -> list[GroupRecord]:
        """All events of a group, in order.

        Raises:
            NotFound: if the group does not exist.
            StoreCorrupt: if an event is damaged.
        """

    @abstractmethod
    def ids(self, after: str = "", limit: int | None = None) -> list[str]:
        """Ids of the groups, sorted, those greater than `after`."""

    @abstractmethod
    def delete(self, group_id: str) -> None:
        """Deletes a group's journal; without effect if it does not exist. The group's studies are
        kept.
        """
