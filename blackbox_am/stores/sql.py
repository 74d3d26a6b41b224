"""A store in a SQL database: a SQLite file, or a PostgreSQL database by its URL.

Each append checks the caller's lease and the study's last sequence number, and writes events,
index row and snapshot, in one transaction.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from blackbox_am.core.accounts import Order
from blackbox_am.core.store import (
    Entry,
    Folded,
    IndexedStudy,
    Note,
    Record,
    Store,
    StoredSnapshot,
    Summary,
)
from blackbox_am.errors import NotFound, NotOwner, SequenceTaken, StoreCorrupt
from blackbox_am.stores import index, journal
from blackbox_am.stores.artifacts import SQLArtifacts, forget_references, refer
from blackbox_am.stores.database import Database
from blackbox_am.stores.groups import SQLGroupJournals
from blackbox_am.stores.leases import SQLCalls, SQLLeases, check_holder, forget_lease, leases
from blackbox_am.stores.principals import (
    STUDIES,
    SQLClaims,
    SQLTokens,
    claim_study,
    claims,
    forget_claim,
    own_studies,
)


class SQLStore(Store):
    """A `Store` in SQLite or PostgreSQL.

    Args:
        url: a URL, such as ``sqlite:///studies.sqlite3`` or
            ``postgresql://user@host/name``, a plain path to a SQLite file, or ``:memory:`` for a
            store that ends with the process.
        clock: seconds since the epoch, for displayed times.
        migrate: whether to migrate a store of an older version; otherwise it is refused.

    Raises:
        StoreError: if the database cannot be opened or written, or is a store of another version.
        StoreCorrupt: if the file is damaged, or belongs to another program.
    """

    def __init__(
        self, url: str, *, clock: Callable[[], float] = time.time, migrate: bool = False
    ) -> None:
        self._database = self.database = Database(url, migrate=migrate)
        self._clock = clock
        self.leases = SQLLeases(self._database)
        self.calls = SQLCalls(self._database)
        self.artifacts = SQLArtifacts(self._database)
        self.groups = SQLGroupJournals(self._database, clock)
        self.tokens = SQLTokens(self._database)
        self.claims = SQLClaims(self._database)

    @property
    def url(self) -> str:
        """The URL of the database in SQLAlchemy's form, without its password."""
        return self._database.shown

    def append(
        self,
        study_id: str,
        sequence: int,
        events: Sequence[Entry],
        *,
        token: int | None = None,
        summary: Summary | None = None,
        snapshot: StoredSnapshot | None = None,
        order: Order | None = None,
        references: Mapping[str, str] | None = None,
    ) -> None:
        now, last = self._clock(), sequence + len(events) - 1
        with self._database.writing() as connection:
            if sequence == 1 and not index.last_sequence(connection, study_id):
                journal.forget_notes(connection, study_id)
                claim_study(connection, study_id, order)
                index.begin(connection, study_id, now)
                for name, digest in (references or {}).items():
                    refer(connection, study_id, name, digest)
            place, clock = (sequence - 1, last), self._database.now_text
            if not index.advance(connection, study_id, place, token, summary, clock):
                check_holder(connection, study_id, token, self._database.now)
                found = index.last_sequence(connection, study_id)
                raise SequenceTaken(journal.taken(study_id, sequence, found))
            journal.write(connection, study_id, sequence, events, now)
            if summary is not None and summary.folded is not None:
                index.write_folded(connection, study_id, last, summary.folded)
            if snapshot is not None:
                journal.write_snapshot(connection, study_id, snapshot)

    def read(
        self, study_id: str, after: int = 0, limit: int | None = None, kind: str = ""
    ) -> list[Record]:
        with self._database.reading() as connection:
            records = journal.read(connection, study_id, after, limit, kind)
            if not records:
                self._check_exists(connection, study_id)
            return records

    def places(self, study_id: str, kinds: Collection[str], *, excluded: bool = False) -> list[int]:
        with self._database.reading() as connection:
            found = journal.places(connection, study_id, kinds, excluded)
            if not found:
                self._check_exists(connection, study_id)
            return found

    def read_at(self, study_id: str, sequences: Sequence[int]) -> list[Record]:
        with self._database.reading() as connection:
            return journal.read_at(connection, study_id, sequences)

    def delete(self, study_id: str) -> None:
        with self._database.writing() as connection:
            self._check_exists(connection, study_id)
            journal.forget(connection, study_id)
            index.forget(connection, study_id)
            forget_references(connection, study_id)
            forget_lease(connection, study_id)
            forget_claim(connection, STUDIES + study_id)

    def load_snapshot(self, study_id: str) -> StoredSnapshot | None:
        with self._database.reading() as connection:
            return journal.load_snapshot(connection, study_id)

    def find(self, study_id: str) -> IndexedStudy:
        query = self._rows().where(index.indexed.c.study == study_id)
        with self._database.reading() as connection:
            row = connection.execute(query).one_or_none()
            if row is None:
                self._check_exists(connection, study_id)
        return index.entry(row)

    def studies(
        self,
        after: str = "",
        limit: int | None = None,
        states: Collection[str] = (),
        principal: str | None = None,
    ) -> list[IndexedStudy]:
        found, studies = [], index.indexed
        with self._database.reading() as connection:
            query = self._rows(own=principal is not None)
            if principal is None:
                query = query.where(studies.c.study > after).order_by(studies.c.study)
            else:
                query = query.where(*own_studies(principal, after)).order_by(claims.c.resource)
            if states:
                query = query.where(studies.c.state.in_(list(states)))
            rows = connection.execute(query.limit(limit)).all()
        for row in rows:
            try:
                found.append(index.entry(row))
            except StoreCorrupt as error:
                found.append(index.damaged(row, error))
        return found

    def count_by_state(self) -> dict[str, int]:
        """The number of studies in each state, by the state's value."""
        state = index.indexed.c.state
        query = sa.select(state, sa.func.count()).group_by(state)
        with self._database.reading() as connection:
            return {str(value): int(count) for value, count in connection.execute(query)}

    def folded(self, study_id: str) -> Folded | None:
        with self._database.reading() as connection:
            return index.load_folded(connection, study_id)

    def note(self, study_id: str, token: int, body: bytes) -> None:
        with self._database.passing() as connection:
            if not journal.write_note(connection, study_id, token, body):
                raise NotOwner(f"this process no longer runs study {study_id!r}")

    def notes(self, study_id: str) -> list[Note]:
        with self._database.reading() as connection:
            return journal.load_notes(connection, study_id)

    def remember_request(self, request_id: str, study_id: str) -> str:
        with self._database.writing() as connection:
            return journal.add_request(connection, request_id, study_id)

    def check(self) -> None:
        self._database.check()

    def close(self) -> None:
        self._database.close()

    def _rows(self, *, own: bool = False) -> sa.Select[Any]:
        """Rows of the index, each with its study's first event and the name of its owner.

        Args:
            own: whether the rows are found by their claims, so that the studies of other principals
                cost nothing; a study without a claim has then no row.
        """
        studies, first = index.indexed, journal.events
        held = (leases.c.study == studies.c.study) & (leases.c.expires > self._database.now)
        begins = (first.c.study == studies.c.study) & (first.c.sequence == 1)
        claimed = claims.c.resource == sa.literal(STUDIES) + studies.c.study
        source: sa.FromClause = studies.outerjoin(claims, claimed)
        if own:
            study = sa.func.substr(claims.c.resource, len(STUDIES) + 1)
            source = claims.join(studies, studies.c.study == study)
        return sa.select(
            studies,
            first.c.body.label("created"),
            leases.c.name.label("owner"),
            claims.c.principal,
        ).select_from(source.outerjoin(first, begins).outerjoin(leases, held))

    @staticmethod
    def _check_exists(connection: sa.Connection, study_id: str) -> None:
        if not index.last_sequence(connection, study_id):
            raise NotFound(f"there is no study {study_id!r} in this store; list the studies first")
