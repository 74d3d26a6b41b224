"""Checks of everything in a store that needs no study to be folded."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from blackbox_am.errors import StoreCorrupt
from blackbox_am.stores.database import metadata, unseal

OF_STUDIES = ("events", "snapshots", "folded", "notes", "artifact_references")
"""Tables whose rows belong to a study of the index, its journal first."""


def study_faults(connection: sa.Connection, study_id: str) -> Iterator[str]:
    """What is wrong with the rows of a study: damaged values, gaps in the journal, rows that are
    newer than the journal or of another event than the index says, and missing artifacts.
    """
    last = 0
    for row in _rows(connection, "events", study_id):
        if row.sequence != last + 1:
            yield f"its journal has a gap: event {last + 1} is missing"
        last = row.sequence
        yield from _damage(row.body, f"event {last}", study_id, last)
    yield from _index_faults(connection, study_id, last)
    yield from _derived_faults(connection, study_id, last)
    references, artifacts = metadata.tables["artifact_references"], metadata.tables["artifacts"]
    missing = ~sa.exists().where(artifacts.c.digest == references.c.digest)
    query = sa.select(references).where(references.c.study == study_id, missing)
    for row in connection.execute(query):
        yield f"its {row.name} refers to the artifact {row.digest}, which is missing"


def _index_faults(connection: sa.Connection, study_id: str, last: int) -> Iterator[str]:
    """Faults of the row of the index. `last` is the number of the last event."""
    indexed = list(_rows(connection, "studies", study_id))
    if not indexed:
        yield "it has no row in the index"
    for row in indexed:
        if row.sequence != last:
            yield f"its journal ends at event {last}, and the index says {row.sequence}"
        if row.body:
            yield from _damage(row.body, "its index row", study_id, "summary", row.sequence)


def _derived_faults(connection: sa.Connection, study_id: str, last: int) -> Iterator[str]:
    """Faults of snapshot, folded state and notes. `last` is the number of the last event."""
    for row in _rows(connection, "snapshots", study_id):
        place = (study_id, "snapshot", row.sequence)
        yield from _damage(row.body, "its snapshot", *place)
        yield from _damage(row.folded, "the study in its snapshot", *place)
        yield from _newer("its snapshot", row.sequence, last)
    for row in _rows(connection, "folded", study_id):
        yield from _damage(row.body, "its folded state", study_id, "folded", row.sequence)
        yield from _newer("its folded state", row.sequence, last)
    for row in _rows(connection, "notes", study_id):
        yield from _damage(row.body, f"its note {row.token}", study_id, "note", row.token)


def orphans(connection: sa.Connection) -> Iterator[tuple[str, int]]:
    """Tables with rows of studies that do not exist, and the number of these rows."""
    for name in OF_STUDIES:
        query = sa.select(sa.func.count()).select_from(metadata.tables[name]).where(orphaned(name))
        found = int(connection.scalar(query) or 0)
        if found:
            yield name, found


def orphaned(name: str) -> sa.ColumnElement[bool]:
    """The condition on the rows of a table that their study does not exist: it is not in the index,
    and no journal of it begins.
    """
    table, first = metadata.tables[name], metadata.tables["events"].alias()
    begins = sa.exists().where(first.c.study == table.c.study, first.c.sequence == 1)
    return ~_indexed(table) & ~begins


def unindexed(connection: sa.Connection) -> list[str]:
    """The ids of studies whose journal begins and which are not in the index, sorted."""
    events = metadata.tables["events"]
    query = sa.select(events.c.study).where(events.c.sequence == 1, ~_indexed(events))
    return sorted(connection.scalars(query))


def _indexed(table: sa.Table) -> sa.ColumnElement[bool]:
    studies = metadata.tables["studies"]
    return sa.exists().where(studies.c.study == table.c.study)


def artifact_faults(connection: sa.Connection, digest: str, size: int) -> Iterator[str]:
    """What is wrong with an artifact: damaged or missing pieces, or another content than its digest
    says.
    """
    pieces = metadata.tables["artifact_pieces"]
    query = sa.select(pieces).where(pieces.c.digest == digest).order_by(pieces.c.place)
    hashed, found = hashlib.sha256(), 0
    for place, row in enumerate(connection.execute(query)):
        if row.place != place:
            yield f"piece {place} is missing"
            return
        try:
            body = unseal(row.body, f"piece {place}", digest, place)
        except StoreCorrupt as error:
            yield error.message
            return
        hashed.update(body)
        found += len(body)
    if found != size:
        yield f"it has {found} bytes, and its row says {size}"
    elif hashed.hexdigest() != digest:
        yield "its content has another digest"


def group_faults(connection: sa.Connection, group_id: str) -> Iterator[str]:
    """What is wrong with the journal of a group: damaged events and gaps."""
    table = metadata.tables["group_events"]
    query = sa.select(table).where(table.c.group_id == group_id).order_by(table.c.sequence)
    for place, row in enumerate(connection.execute(query), start=1):
        if row.sequence != place:
            yield f"its journal has a gap: event {place} is missing"
            return
        yield from _damage(row.body, f"event {place}", group_id, place)


def group_ids(connection: sa.Connection) -> list[str]:
    """The ids of all groups, sorted."""
    group_id = metadata.tables["group_events"].c.group_id
    return sorted(connection.scalars(sa.select(group_id).distinct()))


def file_faults(connection: sa.Connection) -> Iterator[str]:
    """What SQLite finds wrong with its file."""
    if connection.dialect.name == "sqlite":
        found = connection.exec_driver_sql("PRAGMA integrity_check").scalars()
        yield from (str(line) for line in found if line != "ok")


def _rows(connection: sa.Connection, name: str, study_id: str) -> Iterator[Any]:
    table = metadata.tables[name]
    query = sa.select(table).where(table.c.study == study_id)
    yield from connection.execute(query.order_by(*table.primary_key.columns))


def _damage(sealed: bytes, what: str, *place: object) -> Iterator[str]:
    try:
        unseal(sealed, what, *place)
    except StoreCorrupt as error:
        yield error.message


def _newer(what: str, sequence: int, last: int) -> Iterator[str]:
    if sequence > last:
        yield f"{what} was written after event {sequence}, and its journal ends at event {last}"
