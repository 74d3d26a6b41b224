"""Events, snapshots, notes and create requests in a SQL database."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc

from blackbox_am.core.store import Entry, Note, Record, StoredSnapshot
from blackbox_am.errors import SequenceTaken, StoreCorrupt
from blackbox_am.stores.database import STUDY_ID, metadata, seal, unseal
from blackbox_am.stores.faults import CURE

events = sa.Table(
    "events",
    metadata,
    sa.Column("study", STUDY_ID, primary_key=True),
    sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("time", sa.Float, nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
)
_snapshots = sa.Table(
    "snapshots",
    metadata,
    sa.Column("study", STUDY_ID, primary_key=True),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("sequence", sa.Integer, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("folded", sa.LargeBinary, nullable=False),
)
_notes = sa.Table(
    "notes",
    metadata,
    sa.Column("study", STUDY_ID, primary_key=True),
    sa.Column("token", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
)
_requests = sa.Table(
    "requests",
    metadata,
    sa.Column("request", sa.String(128), primary_key=True),
    sa.Column("study", STUDY_ID, nullable=False),
)
READ_AT_ONCE = 500
"""Number of events that one query selects by their numbers; SQLite limits a query's parameters."""
# Written as text, because SQLAlchemy takes longer to compose an insert than SQLite to execute it.
_WRITE = sa.text(
    "INSERT INTO events (study, sequence, time, kind, body) "
    "VALUES (:study, :sequence, :time, :kind, :body)"
)
# SQLite and PostgreSQL both accept this statement. It runs before each call of an oracle, so one
# statement is better than two. Another owner also cannot take the lease between the check and the
# write of a single statement.
_NOTE = sa.text(
    "INSERT INTO notes (study, token, body) "
    "SELECT study, token, :body FROM leases "
    "WHERE study = :study AND token = :token AND name <> '' "
    "ON CONFLICT (study, token) DO UPDATE SET body = excluded.body"
)


def write(
    connection: sa.Connection, study_id: str, sequence: int, new: Sequence[Entry], now: float
) -> None:
    """Writes events.

    Raises:
        SequenceTaken: if another process wrote an event of this number first.
    """
    rows = [
        {
            "study": study_id,
            "sequence": place,
            "time": now,
            "kind": event.kind,
            "body": seal(event.body, study_id, place),
        }
        for place, event in enumerate(new, start=sequence)
    ]
    try:
        connection.execute(_WRITE, rows)
    except exc.IntegrityError as error:
        raise SequenceTaken(taken(study_id, sequence)) from error


def read(
    connection: sa.Connection, study_id: str, after: int, limit: int | None, kind: str
) -> list[Record]:
    """Events, in order.

    Raises:
        StoreCorrupt: if an event is missing or damaged.
    """
    query = (
        sa.select(events.c.sequence, events.c.time, events.c.body)
        .where(events.c.study == study_id, events.c.sequence > after)
        .order_by(events.c.sequence)
        .limit(limit)
    )
    if kind:
        query = query.where(events.c.kind == kind)
    records = []
    for place, row in enumerate(connection.execute(query), start=after + 1):
        if not kind and row.sequence != place:
            raise StoreCorrupt(
                f"the journal of study {study_id!r} has a gap: event {place} is missing; {CURE}"
            )
        records.append(_record(row, study_id))
    return records


def places(
    connection: sa.Connection, study_id: str, kinds: Collection[str], excluded: bool
) -> list[int]:
    """The sequence numbers of the events of these kinds, or of all other kinds, in order."""
    of_kinds = events.c.kind.not_in(kinds) if excluded else events.c.kind.in_(kinds)
    query = sa.select(events.c.sequence).where(events.c.study == study_id, of_kinds)
    return list(connection.scalars(query.order_by(events.c.sequence)))


def read_at(connection: sa.Connection, study_id: str, sequences: Sequence[int]) -> list[Record]:
    """The events with these sequence numbers, in order.

    Raises:
        StoreCorrupt: if an event is damaged.
    """
    query = sa.select(events.c.sequence, events.c.time, events.c.body)
    wanted, records = sorted(set(sequences)), []
    for start in range(0, len(wanted), READ_AT_ONCE):
        some = wanted[start : start + READ_AT_ONCE]
        found = query.where(events.c.study == study_id, events.c.sequence.in_(some))
        rows = connection.execute(found.order_by(events.c.sequence))
        records += [_record(row, study_id) for row in rows]
    return records


def _record(row: Any, study_id: str) -> Record:
    what = f"event {row.sequence} of study {study_id!r}"
    return Record(row.sequence, row.time, unseal(row.body, what, study_id, row.sequence))


def write_snapshot(connection: sa.Connection, study_id: str, snapshot: StoredSnapshot) -> None:
    """Replaces the study's snapshot."""
    connection.execute(_snapshots.delete().where(_snapshots.c.study == study_id))
    row = {
        "study": study_id,
        "generation": snapshot.generation,
        "sequence": snapshot.sequence,
        "body": seal(snapshot.body, study_id, "snapshot", snapshot.sequence),
        "folded": seal(snapshot.study, study_id, "snapshot", snapshot.sequence),
    }
    connection.execute(_snapshots.insert(), [row])


def load_snapshot(connection: sa.Connection, study_id: str) -> StoredSnapshot | None:
    """The study's snapshot, or None.

    Raises:
        StoreCorrupt: if the snapshot is damaged.
    """
    query = sa.select(_snapshots).where(_snapshots.c.study == study_id)
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    what, place = f"the snapshot of study {study_id!r}", (study_id, "snapshot", row.sequence)
    body, folded = unseal(row.body, what, *place), unseal(row.folded, what, *place)
    return StoredSnapshot(row.generation, row.sequence, body, folded)


def write_note(connection: sa.Connection, study_id: str, token: int, body: bytes) -> bool:
    """Replaces the note under a lease. Returns whether the caller still holds the lease."""
    row = {"study": study_id, "token": token, "body": seal(body, study_id, "note", token)}
    return connection.execute(_NOTE, row).rowcount > 0


def load_notes(connection: sa.Connection, study_id: str) -> list[Note]:
    """The notes, in the order of the leases.

    Raises:
        StoreCorrupt: if a note is damaged.
    """
    query = sa.select(_notes).where(_notes.c.study == study_id).order_by(_notes.c.token)
    what = f"the note on the accounts of study {study_id!r}"
    return [
        Note(row.token, unseal(row.body, what, study_id, "note", row.token))
        for row in connection.execute(query)
    ]


def add_request(connection: sa.Connection, request_id: str, study_id: str) -> str:
    """Binds a request to a study. Returns the study that was bound first."""
    query = sa.select(_requests.c.study).where(_requests.c.request == request_id)
    known = connection.scalar(query)
    if known is not None:
        return str(known)
    connection.execute(_requests.insert(), [{"request": request_id, "study": study_id}])
    return study_id


def forget(connection: sa.Connection, study_id: str) -> None:
    """Removes all data of a study."""
    for table in (events, _snapshots, _notes, _requests):
        connection.execute(table.delete().where(table.c.study == study_id))


def forget_notes(connection: sa.Connection, study_id: str) -> None:
    """Removes the notes of an earlier study with the same name."""
    connection.execute(_notes.delete().where(_notes.c.study == study_id))


def taken(study_id: str, sequence: int, last: int | None = None) -> str:
    """The message of `SequenceTaken`."""
    found = "" if last is None else f"; its journal ends at {last}"
    return (
        f"event {sequence} of study {study_id!r} was written by another process{found}; "
        "read the journal and decide again"
    )
