"""Check of a store: every study folds from its journal to what the index says of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import exc

from blackbox_am.errors import BlackboxError, NotFound
from blackbox_am.stores import SQLStore, checking
from blackbox_am.stores.database import metadata
from blackbox_am.studies import folded
from blackbox_am.studies.events import decode
from blackbox_am.studies.published import Published
from blackbox_am.studies.study import Study


@dataclass(frozen=True)
class Fault:
    """A fault of a store.

    Attributes:
        where: the resource with the fault, such as `studies/edges`; `store` for the whole store.
        what: what is wrong.
    """

    where: str
    what: str


@dataclass(frozen=True)
class Checked:
    """The result of a check.

    Attributes:
        studies, groups, artifacts: numbers of what was checked.
        faults: what is wrong.
    """

    studies: int
    groups: int
    artifacts: int
    faults: tuple[Fault, ...]


def check_store(store: SQLStore) -> Checked:
    """Checks a store. Reads everything in it, and writes nothing.

    Raises:
        StoreError: if the store cannot be read at all.
    """
    artifacts, indexed = metadata.tables["artifacts"], metadata.tables["studies"]
    with store.database.reading_slowly() as connection:
        faults = _told("store", checking.file_faults(connection))
        faults += _told("store", _orphans(connection))
        values = connection.execute(sa.select(artifacts.c.digest, artifacts.c.size)).all()
        for digest, size in values:
            found = checking.artifact_faults(connection, digest, size)
            faults += _told(f"artifacts/{digest}", found)
        groups = checking.group_ids(connection)
        for group_id in groups:
            faults += _told(f"groups/{group_id}", checking.group_faults(connection, group_id))
        studies = list(connection.scalars(sa.select(indexed.c.study).order_by(indexed.c.study)))
        for study_id in studies:
            faults += _told(f"studies/{study_id}", checking.study_faults(connection, study_id))
    broken = {fault.where for fault in faults}
    for study_id in studies:
        if f"studies/{study_id}" not in broken:  # otherwise the journal cannot be trusted
            faults += [Fault(f"studies/{study_id}", what) for what in _folds(store, study_id)]
    return Checked(len(studies), len(groups), len(values), tuple(faults))


def _told(where: str, found: Iterator[str]) -> list[Fault]:
    """Faults of one resource, up to the first page of the database that cannot be read."""
    faults: list[Fault] = []
    try:
        faults.extend(Fault(where, what) for what in found)
    except exc.DatabaseError as error:
        faults.append(Fault(where, f"the database cannot read it: {error.orig}"))
    return faults


def _orphans(connection: sa.Connection) -> Iterator[str]:
    for study_id in checking.unindexed(connection):
        yield f"the index has no row of the study {study_id!r}, whose journal is there"
    for table, rows in checking.orphans(connection):
        yield (
            f"{rows} rows in the table {table} belong to studies that do not exist; "
            "`blackbox-am store compact` removes them"
        )


def _folds(store: SQLStore, study_id: str) -> Iterator[str]:
    """What is wrong with a study whose rows are sound: its journal does not fold, or not to the
    state in the index or to the folded state. The study may grow meanwhile: what is read first is
    compared with the events of its time.
    """
    try:
        kept = store.folded(study_id)
        entry = store.find(study_id)
        records = store.read(study_id, limit=entry.sequence)
        events = [decode(record.body) for record in records]
        study = Study.fold(iter(events))
        indexed = Published.read(entry)
        fresh = Published.of(study_id, study, indexed.created_at)
        if fresh.progress != indexed.progress or fresh.budget != indexed.budget:
            yield "its index row says something else than its journal"
        if kept is not None and folded.encode(folded.decode(kept.body)) != folded.encode(
            Study.fold(iter(events[: kept.sequence]))
        ):
            yield "its folded state is another than that of its journal"
    except NotFound:  # deleted meanwhile
        return
    except BlackboxError as error:
        yield error.message
