"""When the optimizer's state is kept, so that recovery need not begin at the beginning."""

from __future__ import annotations

from collections.abc import Callable

from blackbox_am.core.store import StoredSnapshot
from blackbox_am.studies.search import Search

SNAPSHOT_GENERATIONS = 50
SNAPSHOT_SECONDS = 10.0
SNAPSHOT_BYTES = 2**29
"""Larger ones are not kept: SQLite takes no value of 10^9 bytes."""


class Snapshots:
    """Takes a snapshot of a search every so many generations or seconds.

    Gradients are not in the journal, so an order-1 search cannot be led forward again: it
    is kept every generation.

    Attributes:
        generation: generations told at the last snapshot.
    """

    def __init__(self, search: Search, clock: Callable[[], float]) -> None:
        self.generation = 0
        self._search = search
        self._clock = clock
        self._time = clock()

    def due(self, told: int, sequence: int) -> StoredSnapshot | None:
        """The snapshot after `told` generations, where one is due.

        Args:
            told: generations the search was told.
            sequence: of the event that closes the last.
        """
        due = (
            self._search.optimizer.order == 1
            or told - self.generation >= SNAPSHOT_GENERATIONS
            or self._clock() - self._time >= SNAPSHOT_SECONDS
        )
        if self._search.optimizer.replay_only or not due:
            return None
        self.generation, self._time = told, self._clock()
        body = self._search.snapshot()
        return StoredSnapshot(told, sequence, body) if len(body) <= SNAPSHOT_BYTES else None
