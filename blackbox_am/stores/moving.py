"""Export of studies from a store to a portable file, and import into another store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from blackbox_am.core.ids import check_study_id
from blackbox_am.errors import NotFound, StoreCorrupt, StudyExists
from blackbox_am.stores import archives, checking
from blackbox_am.stores.artifacts import own_references, put_artifact, stored_pieces
from blackbox_am.stores.database import meta, metadata
from blackbox_am.stores.principals import STUDIES
from blackbox_am.stores.sql import SQLStore

GROUPS = "groups/"
"""Beginning of the resource of a group."""
ROWS_AT_ONCE = 500
_STUDY = (checking.OF_STUDIES[0], "studies", *checking.OF_STUDIES[1:])
"""The tables of a study, its journal first."""
_NOUNS = {"studies": "study", "groups": "group"}


@dataclass(frozen=True)
class Moved:
    """What was exported or imported.

    Attributes:
        studies, groups: their ids, sorted.
        artifacts: number of large values.
        present: studies and groups that the store had already, unchanged or further on.
    """

    studies: tuple[str, ...]
    groups: tuple[str, ...]
    artifacts: int
    present: tuple[str, ...] = ()


def export(store: SQLStore, path: Path, studies: Sequence[str] = ()) -> Moved:
    """Writes studies to a portable file, as they are at one moment; the store is not changed.

    Args:
        store: the store, which servers may use meanwhile.
        path: the new file.
        studies: ids of the studies; empty for all studies and groups. Leases, tokens and accounts
            stay where they are.

    Raises:
        NotFound: for a study that the store does not have.
        InvalidInput: if the file exists.
        StoreCorrupt: for a study, group or artifact that is damaged.
        StoreError: if the file cannot be written.
    """
    references = metadata.tables["artifact_references"]
    with store.database.reading_slowly() as connection:
        known = set(connection.scalars(sa.select(metadata.tables["studies"].c.study)))
        unknown = sorted(set(studies) - known)
        if unknown:
            raise NotFound(
                f"there is no study {unknown[0]!r} in this store; list the studies first"
            )
        wanted = sorted(set(studies) or known)
        groups = [] if studies else checking.group_ids(connection)
        digests: set[str] = set()
        with archives.writing(path) as file:
            for study_id in wanted:
                _check(f"study {study_id!r}", checking.study_faults(connection, study_id))
                file.add(f"{STUDIES}{study_id}.jsonl", _study_lines(connection, study_id))
                query = sa.select(references.c.digest).where(references.c.study == study_id)
                digests.update(connection.scalars(query))
            for group_id in groups:
                _check(f"group {group_id!r}", checking.group_faults(connection, group_id))
                file.add(f"{GROUPS}{group_id}.jsonl", _group_lines(connection, group_id))
            for digest in sorted(digests):
                file.add(f"artifacts/{digest}", stored_pieces(connection, digest))
    return Moved(tuple(wanted), tuple(groups), len(digests))


def load(store: SQLStore, path: Path) -> Moved:
    """Reads studies from a portable file into a store, all of them or none.

    A study that the store has already is skipped if its journal is that of the file, or begins with
    it. The studies continue as they would have in their first store.

    Raises:
        NotFound: if there is no such file.
        StudyExists: if the store has another study or group of one of the ids.
        StoreCorrupt: if the file is damaged.
        StoreError: if the store cannot be written, or another version wrote the file.
    """
    found: dict[str, list[str]] = {STUDIES: [], GROUPS: [], "artifacts/": []}
    present = []
    with archives.reading(path) as file, store.database.writing() as connection:
        for name in file.names:
            folder, _, rest = name.partition("/")
            place = found.get(f"{folder}/")
            if place is None:
                raise file.damage(f"unexpected file {name}")
            own = rest.removesuffix(".jsonl")
            if folder == "artifacts":
                if put_artifact(connection, file.pieces(name), store.database.now) != own:
                    raise file.damage(f"{name} has another content than its name says")
            elif not _loaded(connection, file, name, folder, own):
                present.append(own)
                continue
            place.append(own)
        for study_id in found[STUDIES]:
            _check(f"study {study_id!r} in {path}", checking.study_faults(connection, study_id))
            own_references(connection, study_id)
        for group_id in found[GROUPS]:
            _check(f"group {group_id!r} in {path}", checking.group_faults(connection, group_id))
        _raise_tokens(connection)
    studies, groups, artifacts = found.values()
    return Moved(tuple(studies), tuple(groups), len(artifacts), tuple(present))


def _loaded(
    connection: sa.Connection, file: archives.Reader, name: str, folder: str, own: str
) -> bool:
    """Writes the rows of a study or group. Returns False if the store has them already."""
    check_study_id(own)
    journal = metadata.tables["events" if folder == "studies" else "group_events"]
    key = journal.primary_key.columns[0]
    query = sa.select(journal).where(key == own).order_by(journal.c.sequence)
    before = {row.sequence: bytes(row.body) for row in connection.execute(query)}
    tables = (*_STUDY, "claims") if folder == "studies" else ("group_events", "claims")
    rows: list[dict[str, Any]] = []
    last: sa.Table | None = None
    for line in file.lines(name):
        table, row = archives.row_of(line, tables)
        if row.get(key.name, row.get("resource", "").partition("/")[2]) != own:
            raise file.damage(f"{name} has a row of another study")
        if before:
            if table is journal and before.get(row["sequence"]) != row["body"]:
                raise StudyExists(
                    f"the store has another {_NOUNS[folder]} {own!r}, with another journal; "
                    "delete it first, or import into another store"
                )
            continue
        if last is not None and (table is not last or len(rows) >= ROWS_AT_ONCE):
            connection.execute(last.insert(), rows)
            rows = []
        last = table
        rows.append(row)
    if last is not None:
        connection.execute(last.insert(), rows)
    return not before


def _study_lines(connection: sa.Connection, study_id: str) -> Iterator[bytes]:
    for name in _STUDY:
        yield from _lines(connection, metadata.tables[name], "study", study_id)
    yield from _lines(connection, metadata.tables["claims"], "resource", STUDIES + study_id)


def _group_lines(connection: sa.Connection, group_id: str) -> Iterator[bytes]:
    yield from _lines(connection, metadata.tables["group_events"], "group_id", group_id)
    yield from _lines(connection, metadata.tables["claims"], "resource", GROUPS + group_id)


def _lines(connection: sa.Connection, table: sa.Table, key: str, value: str) -> Iterator[bytes]:
    query = sa.select(table).where(table.c[key] == value)
    for row in connection.execute(query.order_by(*table.primary_key.columns)):
        yield archives.line_of(table, row)


def _check(what: str, faults: Iterator[str]) -> None:
    for fault in faults:
        raise StoreCorrupt(f"{what} is damaged: {fault}; see all faults with `store check`")


def _raise_tokens(connection: sa.Connection) -> None:
    """Makes the tokens of later leases greater than those of the imported notes."""
    notes = metadata.tables["notes"]
    most = connection.scalar(sa.select(sa.func.max(notes.c.token))) or 0
    connection.execute(meta.update().where(meta.c.last_token < most).values(last_token=most))
