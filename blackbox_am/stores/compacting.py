"""Removal of what a store no longer needs, and of the room that it took."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from blackbox_am.core.types import StudyState
from blackbox_am.stores.checking import OF_STUDIES, orphaned
from blackbox_am.stores.database import Database, metadata
from blackbox_am.stores.sql import SQLStore


@dataclass(frozen=True)
class Compacted:
    """What a compaction has done.

    Attributes:
        before, after: bytes of the store.
        snapshots: removed snapshots, of studies that are cancelled and cannot continue.
        orphans: removed rows of studies that do not exist. A journal from its first event on is
            kept, also if the index has lost its study.
        artifacts: removed values that no study has referred to for a day.
    """

    before: int
    after: int
    snapshots: int
    orphans: int
    artifacts: int


def compact(store: SQLStore) -> Compacted:
    """Removes what no study needs, and gives the room back to the disk.

    Raises:
        StoreError: if the store cannot be written, or another process uses it for a long time.
    """
    before = store.database.size()
    artifacts = store.artifacts.collect()
    with store.database.writing() as connection:
        snapshots = _forget_snapshots(connection)
        orphans = sum(_forget_orphans(connection, name) for name in OF_STUDIES)
    _vacuum(store.database)
    return Compacted(before, store.database.size(), snapshots, orphans, artifacts)


def _forget_snapshots(connection: sa.Connection) -> int:
    studies, snapshots = metadata.tables["studies"], metadata.tables["snapshots"]
    cancelled = studies.c.state == StudyState.CANCELLED.value
    ended = sa.exists().where(studies.c.study == snapshots.c.study, cancelled)
    return connection.execute(snapshots.delete().where(ended)).rowcount


def _forget_orphans(connection: sa.Connection, name: str) -> int:
    return connection.execute(metadata.tables[name].delete().where(orphaned(name))).rowcount


def _vacuum(database: Database) -> None:
    """Rewrites the tables without unused room. It cannot be a part of a transaction."""
    with database.outside() as connection:
        connection.exec_driver_sql("VACUUM")
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
