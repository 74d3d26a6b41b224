"""When snapshots of the optimizer's state are taken, so that recovery can start from them."""

from __future__ import annotations

import logging
from collections.abc import Callable

from blackbox_am.core.store import Store, StoredSnapshot
from blackbox_am.errors import InvalidSpec, StoreCorrupt
from blackbox_am.studies import folded
from blackbox_am.studies.events import decode
from blackbox_am.studies.search import Search
from blackbox_am.studies.study import Study

log = logging.getLogger(__name__)

SNAPSHOT_GENERATIONS = 50
SNAPSHOT_SECONDS = 10.0
SNAPSHOT_BYTES = 2**29
"""In bytes. A larger state is refused, because SQLite refuses values of 10^9 bytes."""


class Snapshots:
    """Takes a snapshot of a search after a number of generations or seconds.

    A search of order 0 is replayed from its last snapshot. Gradients are not in the journal, so a
    search of order 1 cannot be replayed: a snapshot is written with each of its generations, in
    the same transaction.

    Attributes:
        generation: generations told at the last snapshot.
    """

    def __init__(self, search: Search, clock: Callable[[], float]) -> None:
        self.generation = 0
        self._search = search
        self._clock = clock
        self._time = clock()

    def check(self) -> None:
        """Raises an error if the search's state is too large for a snapshot.

        Raises:
            InvalidSpec: if the state is too large.
        """
        size = self._search.state_bytes
        if size > SNAPSHOT_BYTES and not self._search.optimizer.replay_only:
            raise InvalidSpec(
                f"the state of the optimizer takes {size} bytes, and a snapshot of it holds "
                f"{SNAPSHOT_BYTES} at most; use fewer targets, or an optimizer that keeps less, "
                "such as 'sep_cma'",
                field="optimizer",
            )

    def due(self, told: int, study: Study) -> StoredSnapshot | None:
        """The snapshot after `told` generations, if one is due.

        Args:
            told: number of generations that the search has learnt from.
            study: the study after these generations.
        """
        if self._search.optimizer.replay_only or not self._is_due(told):
            return None
        body = self._search.snapshot()
        self.generation, self._time = told, self._clock()
        if len(body) > SNAPSHOT_BYTES:
            log.warning(
                "the optimizer's state has grown to %d bytes, above the %d that a snapshot holds: "
                "it is not kept",
                len(body),
                SNAPSHOT_BYTES,
            )
            return None
        return StoredSnapshot(told, study.sequence, body, folded.encode(study))

    def _is_due(self, told: int) -> bool:
        if self._search.optimizer.order == 1:
            return True
        seconds = self._clock() - self._time
        return told - self.generation >= SNAPSHOT_GENERATIONS or seconds >= SNAPSHOT_SECONDS


def last_kept(store: Store, study_id: str) -> tuple[StoredSnapshot | None, Study]:
    """The last snapshot and its study; without a snapshot, the study at its beginning."""
    try:
        snapshot = store.load_snapshot(study_id)
        if snapshot is not None:
            check_reached(store, study_id, snapshot.sequence, "its snapshot")
            return snapshot, folded.decode(snapshot.study)
    except StoreCorrupt as error:
        log.warning("%s; the search is led forward from its beginning", error)
    return None, beginning(store, study_id)


def check_reached(store: Store, study_id: str, sequence: int, what: str) -> None:
    """Checks that a study's journal has the event after which something was written.

    Raises:
        StoreCorrupt: if it has not: the end of the journal is lost, or `what` is of another
            journal.
    """
    if not store.read_at(study_id, [sequence]):
        raise StoreCorrupt(
            f"the journal of study {study_id!r} has no event {sequence}, and {what} was written "
            "after that event; restore the store from a backup, or delete the study"
        )


def beginning(store: Store, study_id: str) -> Study:
    """The study at its beginning."""
    return Study.fold(decode(record.body) for record in store.read(study_id, limit=1))
