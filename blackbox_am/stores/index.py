"""The index: one row for each study, written with each append, so that readers need not fold
journals.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from blackbox_am.core.store import Folded, IndexedStudy, Summary
from blackbox_am.errors import StoreCorrupt
from blackbox_am.stores.database import STUDY_ID, metadata, seal, unseal

indexed = sa.Table(
    "studies",
    metadata,
    sa.Column("study", STUDY_ID, primary_key=True),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("sequence", sa.Integer, nullable=False),
    sa.Column("state", sa.String(16), nullable=False, index=True),
    sa.Column("oracle", sa.String(255), nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
)
_folded = sa.Table(
    "folded",
    metadata,
    sa.Column("study", STUDY_ID, primary_key=True),
    sa.Column("sequence", sa.Integer, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
)
# SQLite and PostgreSQL both accept these statements. They run at each append, so one statement
# checks the position and the lease, and writes the row.
_HELD = "EXISTS (SELECT 1 FROM leases WHERE study = :study AND token = :token AND name <> '')"
_NOT_HELD = "NOT EXISTS (SELECT 1 FROM leases WHERE study = :study AND expires > {now})"
_ROW = "state = :state, oracle = :oracle, body = :body"
_ADVANCE = (
    "UPDATE studies SET sequence = :sequence{row} "
    "WHERE study = :study AND sequence = :before AND {held}"
)


def begin(connection: sa.Connection, study_id: str, created_at: float) -> None:
    """Adds the row of a new study."""
    row = {"study": study_id, "created_at": created_at, "sequence": 0, "state": "", "oracle": ""}
    connection.execute(indexed.insert().values(**row, body=b""))


def advance(
    connection: sa.Connection,
    study_id: str,
    sequences: tuple[int, int],
    token: int | None,
    summary: Summary | None,
    now: str,
) -> bool:
    """Updates the row of a study to a later event.

    Args:
        connection: a connection in the writing transaction.
        study_id: the study.
        sequences: the event that must be the study's last one until now, and the new last one.
        token: of the caller's lease; None if the caller has no lease.
        summary: the new row; None changes the sequence only.
        now: the SQL expression of the database's clock.

    Returns:
        False, and nothing is written, if the caller may not write to the study, or if its last
        event is another one.
    """
    values = {"study": study_id, "before": sequences[0], "sequence": sequences[1], "token": token}
    if summary is not None:
        values |= {"state": summary.state, "oracle": summary.oracle}
        values["body"] = seal(summary.body, study_id, "summary", sequences[1])
    statement = _statement(summary is not None, token is not None, now)
    return connection.execute(statement, values).rowcount > 0


@lru_cache
def _statement(row: bool, leased: bool, now: str) -> sa.TextClause:
    held = _HELD if leased else _NOT_HELD.format(now=now)
    return sa.text(_ADVANCE.format(row=f", {_ROW}" if row else "", held=held))


def write_folded(connection: sa.Connection, study_id: str, sequence: int, folded: bytes) -> None:
    """Replaces the folded study."""
    connection.execute(_folded.delete().where(_folded.c.study == study_id))
    body = seal(folded, study_id, "folded", sequence)
    new = {"study": study_id, "sequence": sequence, "body": body}
    connection.execute(_folded.insert(), [new])


def last_sequence(connection: sa.Connection, study_id: str) -> int:
    """The number of the study's last event; 0 if the study does not exist."""
    query = sa.select(indexed.c.sequence).where(indexed.c.study == study_id)
    return int(connection.scalar(query) or 0)


def entry(row: Any) -> IndexedStudy:
    """A row in the form of the contract.

    Raises:
        StoreCorrupt: if the row or the study's first event is damaged.
    """
    study_id = str(row.study)
    first, mine = f"event 1 of study {study_id!r}", f"the index entry of study {study_id!r}"
    return IndexedStudy(
        study_id,
        row.sequence,
        row.created_at,
        unseal(row.created, first, study_id, 1),
        row.state,
        unseal(row.body, mine, study_id, "summary", row.sequence) if row.body else b"",
        row.owner or "",
        principal=row.principal or "",
    )


def damaged(row: Any, error: StoreCorrupt) -> IndexedStudy:
    """The entry for a study whose row is damaged."""
    return IndexedStudy(
        str(row.study),
        row.sequence,
        row.created_at,
        b"",
        row.state,
        b"",
        damage=error.message,
        principal=row.principal or "",
    )


def load_folded(connection: sa.Connection, study_id: str) -> Folded | None:
    """The last written folded study, or None.

    Raises:
        StoreCorrupt: if the folded study is damaged.
    """
    row = connection.execute(sa.select(_folded).where(_folded.c.study == study_id)).one_or_none()
    if row is None:
        return None
    what = f"the folded state of study {study_id!r}"
    return Folded(row.sequence, unseal(row.body, what, study_id, "folded", row.sequence))


def forget(connection: sa.Connection, study_id: str) -> None:
    """Removes a study's rows."""
    for table in (indexed, _folded):
        connection.execute(table.delete().where(table.c.study == study_id))
