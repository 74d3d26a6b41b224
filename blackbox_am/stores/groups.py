"""Journals of groups in a SQL database."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc

from blackbox_am.core.groups import GroupJournals, GroupRecord
from blackbox_am.errors import NotFound, SequenceTaken
from blackbox_am.stores.database import STUDY_ID, Database, metadata, seal, unseal
from blackbox_am.stores.principals import claim, forget_claim

_events = sa.Table(
    "group_events",
    metadata,
    sa.Column("group_id", STUDY_ID, primary_key=True),
    sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("time", sa.Float, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
)


class SQLGroupJournals(GroupJournals):
    """The journals of groups of one database.

    Args:
        database: the database that stores the journals.
        clock: seconds since the epoch, for displayed times.
    """

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    def append(self, group_id: str, sequence: int, body: bytes, *, principal: str = "") -> None:
        row = {
            "group_id": group_id,
            "sequence": sequence,
            "time": self._clock(),
            "body": seal(body, group_id, sequence),
        }
        last = sa.select(sa.func.max(_events.c.sequence)).where(_events.c.group_id == group_id)
        with self._database.writing() as connection:
            found = connection.scalar(last) or 0
            if found != sequence - 1:
                raise SequenceTaken(_taken(group_id, sequence, found))
            try:
                connection.execute(_events.insert(), [row])
            except exc.IntegrityError as error:  # another transaction was faster
                raise SequenceTaken(_taken(group_id, sequence, sequence)) from error
            if sequence == 1:
                claim(connection, f"groups/{group_id}", principal)

    def read(self, group_id: str) -> list[GroupRecord]:
        query = sa.select(_events).where(_events.c.group_id == group_id)
        with self._database.reading() as connection:
            rows = connection.execute(query.order_by(_events.c.sequence)).all()
        if not rows:
            raise NotFound(f"there is no group {group_id!r} in this store; list the groups first")
        return [GroupRecord(row.sequence, row.time, _body(group_id, row)) for row in rows]

    def ids(self, after: str = "", limit: int | None = None) -> list[str]:
        first = (_events.c.sequence == 1) & (_events.c.group_id > after)
        query = sa.select(_events.c.group_id).where(first).order_by(_events.c.group_id)
        with self._database.reading() as connection:
            return list(connection.scalars(query.limit(limit)))

    def delete(self, group_id: str) -> None:
        with self._database.writing() as connection:
            connection.execute(_events.delete().where(_events.c.group_id == group_id))
            forget_claim(connection, f"groups/{group_id}")


def _body(group_id: str, row: Any) -> bytes:
    what = f"event {row.sequence} of group {group_id!r}"
    return unseal(row.body, what, group_id, row.sequence)


def _taken(group_id: str, sequence: int, last: int) -> str:
    return (
        f"event {sequence} of group {group_id!r} cannot be written: its journal ends at {last}; "
        "read the journal and decide again"
    )
