"""The journal in a SQL database: SQLite by default, PostgreSQL by URL.

SQLite runs in WAL mode with synchronous=FULL: a transaction is on the disk when
`append` returns. Notes go with synchronous=NORMAL: they are with the operating system. The
primary key (study, sequence) is the fence between processes: who comes second gets
`SequenceTaken`.

SQLite does not notice where a disk changes a value. So every value is sealed with a
checksum of itself and of its place, and a measurement is never read as another.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from threading import RLock
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.pool import StaticPool

from blackbox_am.core.store import Record, Store, StoredSnapshot
from blackbox_am.errors import NotFound, SequenceTaken, StoreCorrupt, StoreError

SCHEMA_VERSION = 2
SEAL_BYTES = 4
CURE = "restore the store from a backup, or delete the study"

_metadata = sa.MetaData()
_meta = sa.Table(
    "blackbox_am",
    _metadata,
    sa.Column("schema_version", sa.Integer, nullable=False),
)
_events = sa.Table(
    "events",
    _metadata,
    sa.Column("study", sa.String(63), primary_key=True),
    sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("time", sa.Float, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
)
_snapshots = sa.Table(
    "snapshots",
    _metadata,
    sa.Column("study", sa.String(63), primary_key=True),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("sequence", sa.Integer, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
)
_notes = sa.Table(
    "notes",
    _metadata,
    sa.Column("study", sa.String(63), primary_key=True),
    sa.Column("body", sa.LargeBinary, nullable=False),
)
# SQLite and PostgreSQL read this alike; before each call to an oracle two statements are many.
_NOTE = sa.text(
    "INSERT INTO notes (study, body) VALUES (:study, :body) "
    "ON CONFLICT (study) DO UPDATE SET body = excluded.body"
)
_requests = sa.Table(
    "requests",
    _metadata,
    sa.Column("request", sa.String(128), primary_key=True),
    sa.Column("study", sa.String(63), nullable=False),
)


class SQLStore(Store):
    """A `Store` in any database that SQLAlchemy reaches.

    Args:
        url: a SQLAlchemy URL, such as ``sqlite:///studies.sqlite3`` or
            ``postgresql+psycopg://host/name``, a plain path to a SQLite file, or
            ``:memory:`` for a store that dies with the process.
        clock: seconds since the epoch, for the times that people read.

    Raises:
        StoreError: where it cannot be opened or written.
        StoreCorrupt: where the file is damaged, or is another program's.
    """

    def __init__(self, url: str, *, clock: Callable[[], float] = time.time) -> None:
        self.url = _as_url(url)
        self._clock = clock
        self._engine = _engine(self.url)
        # In memory there is one connection for all threads, and it has one transaction.
        shared = isinstance(self._engine.pool, StaticPool)
        self._turn: AbstractContextManager[object] = RLock() if shared else nullcontext()
        self._writer = self._engine.execution_options(writes=True)
        # A memory that dies with the process has nothing to keep beyond it.
        self._noter = None if shared else _engine(self.url, "NORMAL").execution_options(writes=True)
        with self._translated():
            self._prepare()

    def append(
        self,
        study_id: str,
        sequence: int,
        events: Sequence[bytes],
        snapshot: StoredSnapshot | None = None,
    ) -> None:
        now = self._clock()
        rows = [
            {
                "study": study_id,
                "sequence": place,
                "time": now,
                "body": _seal(body, study_id, place),
            }
            for place, body in enumerate(events, start=sequence)
        ]
        with self._translated(), self._writer.begin() as connection:
            self._check_position(connection, study_id, sequence)
            if sequence == 1:  # of a study of that name that was deleted
                connection.execute(_notes.delete().where(_notes.c.study == study_id))
            try:
                connection.execute(_events.insert(), rows)
            except exc.IntegrityError as error:
                raise SequenceTaken(_taken(study_id, sequence)) from error
            if snapshot is not None:
                _replace_snapshot(connection, study_id, snapshot)

    def read(self, study_id: str, after: int = 0, limit: int | None = None) -> list[Record]:
        query = (
            sa.select(_events.c.sequence, _events.c.time, _events.c.body)
            .where(_events.c.study == study_id, _events.c.sequence > after)
            .order_by(_events.c.sequence)
            .limit(limit)
        )
        with self._translated(), self._engine.connect() as connection:
            rows = connection.execute(query).all()
            if not rows:
                self._check_exists(connection, study_id)
        records = []
        for place, row in enumerate(rows, start=after + 1):
            if row.sequence != place:
                raise StoreCorrupt(
                    f"the journal of study {study_id!r} has a gap: event {place} is missing; {CURE}"
                )
            records.append(Record(place, row.time, _unseal(row.body, study_id, place)))
        return records

    def study_ids(self, after: str = "", limit: int | None = None) -> list[str]:
        query = (
            sa.select(_events.c.study)
            .where(_events.c.sequence == 1, _events.c.study > after)
            .order_by(_events.c.study)
            .limit(limit)
        )
        with self._translated(), self._engine.connect() as connection:
            return list(connection.scalars(query))

    def delete(self, study_id: str) -> None:
        with self._translated(), self._writer.begin() as connection:
            self._check_exists(connection, study_id)
            for table in (_events, _snapshots, _notes, _requests):
                connection.execute(table.delete().where(table.c.study == study_id))

    def load_snapshot(self, study_id: str) -> StoredSnapshot | None:
        query = sa.select(_snapshots).where(_snapshots.c.study == study_id)
        with self._translated(), self._engine.connect() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            return None
        body = _unseal(row.body, study_id, row.sequence)
        return StoredSnapshot(row.generation, row.sequence, body)

    def note(self, study_id: str, body: bytes) -> None:
        if self._noter is None:
            return
        row = {"study": study_id, "body": _seal(body, study_id, 0)}
        with self._translated(), self._noter.begin() as connection:
            connection.execute(_NOTE, row)

    def noted(self, study_id: str) -> bytes | None:
        query = sa.select(_notes.c.body).where(_notes.c.study == study_id)
        with self._translated(), self._engine.connect() as connection:
            sealed = connection.scalar(query)
        return None if sealed is None else _unseal(sealed, study_id, 0)

    def remember_request(self, request_id: str, study_id: str) -> str:
        with self._translated():
            try:
                with self._writer.begin() as connection:
                    row = {"request": request_id, "study": study_id}
                    connection.execute(_requests.insert(), [row])
            except exc.IntegrityError:
                query = sa.select(_requests.c.study).where(_requests.c.request == request_id)
                with self._engine.connect() as connection:
                    return str(connection.scalar(query))
            return study_id

    def close(self) -> None:
        with self._turn:  # another thread may be in the middle of a statement
            self._engine.dispose()
            if self._noter is not None:
                self._noter.dispose()

    def _prepare(self) -> None:
        with self._writer.begin() as connection:
            tables = set(sa.inspect(connection).get_table_names())
            if not tables:
                _metadata.create_all(connection)
                connection.execute(_meta.insert(), [{"schema_version": SCHEMA_VERSION}])
                return
            version = (
                connection.scalar(sa.select(_meta.c.schema_version))
                if "blackbox_am" in tables
                else None
            )
        if version is None:
            raise StoreCorrupt(
                f"{self.url} is a database, but not a store of blackbox_am: it holds the tables "
                f"{', '.join(sorted(tables))}; name another file"
            )
        if version != SCHEMA_VERSION:
            raise StoreCorrupt(
                f"{self.url} is a store of schema version {version}, this program reads "
                f"version {SCHEMA_VERSION}; use the version of blackbox_am that wrote it"
            )
        if "notes" not in tables:  # a store from before there were any
            with self._writer.begin() as connection:
                _notes.create(connection, checkfirst=True)

    def _check_position(self, connection: sa.Connection, study_id: str, sequence: int) -> None:
        query = sa.select(sa.func.max(_events.c.sequence)).where(_events.c.study == study_id)
        last = connection.scalar(query) or 0
        if last != sequence - 1:
            raise SequenceTaken(_taken(study_id, sequence, last))

    def _check_exists(self, connection: sa.Connection, study_id: str) -> None:
        query = sa.select(_events.c.sequence).where(
            _events.c.study == study_id, _events.c.sequence == 1
        )
        if connection.scalar(query) is None:
            raise NotFound(f"there is no study {study_id!r} in this store; list the studies first")

    @contextmanager
    def _translated(self) -> Iterator[None]:
        with self._turn:
            try:
                yield
            except exc.DatabaseError as error:
                raise _store_error(self.url, error) from error
            except UnicodeDecodeError as error:  # of a name in a damaged page
                raise StoreCorrupt(f"{self.url} is damaged ({error}); {CURE}") from error
            except exc.TimeoutError as error:  # every connection waits for a slow disk
                raise StoreError(
                    f"the store {self.url} is too slow ({error}); try again"
                ) from error


def _as_url(url: str) -> str:
    if url == ":memory:":
        return "sqlite://"
    return url if "://" in url else f"sqlite:///{url}"


def _engine(url: str, synchronous: str = "FULL") -> sa.Engine:
    try:
        parsed = sa.make_url(url)
    except exc.ArgumentError as error:
        raise StoreError(
            f"{url!r} is not a store; expected a path, ':memory:', or a SQLAlchemy URL "
            "such as sqlite:///studies.sqlite3"
        ) from error
    if parsed.get_backend_name() != "sqlite":
        return sa.create_engine(parsed, pool_pre_ping=True)
    options: dict[str, Any] = {"connect_args": {"check_same_thread": False, "timeout": 30}}
    if parsed.database in (None, "", ":memory:"):
        options["poolclass"] = StaticPool  # one connection, or every thread has its own memory
    else:
        _check_folder(Path(str(parsed.database)))
    engine = sa.create_engine(parsed, **options)

    def set_pragmas(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # SQLAlchemy's BEGIN below is the only one
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(f"PRAGMA synchronous={synchronous}")

    sa.event.listen(engine, "connect", set_pragmas)
    sa.event.listen(engine, "begin", _begin)
    return engine


def _check_folder(path: Path) -> None:
    if not path.parent.is_dir():
        raise StoreError(f"cannot open the store {path}: there is no folder {path.parent}")


def _begin(connection: sa.Connection) -> None:
    # A writer that takes the lock at once cannot fail half-way; a reader needs no lock.
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _replace_snapshot(connection: sa.Connection, study_id: str, snapshot: StoredSnapshot) -> None:
    connection.execute(_snapshots.delete().where(_snapshots.c.study == study_id))
    row = {
        "study": study_id,
        "generation": snapshot.generation,
        "sequence": snapshot.sequence,
        "body": _seal(snapshot.body, study_id, snapshot.sequence),
    }
    connection.execute(_snapshots.insert(), [row])


def _seal(body: bytes, study_id: str, sequence: int) -> bytes:
    return body + _checksum(body, study_id, sequence)


def _unseal(sealed: Any, study_id: str, sequence: int) -> bytes:
    body = bytes(sealed or b"")[:-SEAL_BYTES]
    if sealed != _seal(body, study_id, sequence):
        raise StoreCorrupt(
            f"the journal of study {study_id!r} cannot be read: what was written as event "
            f"{sequence} has changed since; {CURE}"
        )
    return body


def _checksum(body: bytes, study_id: str, sequence: int) -> bytes:
    place = f"{study_id}/{sequence}".encode()
    return zlib.crc32(body, zlib.crc32(place)).to_bytes(SEAL_BYTES, "little")


def _taken(study_id: str, sequence: int, last: int | None = None) -> str:
    found = "" if last is None else f"; its journal ends at {last}"
    return (
        f"event {sequence} of study {study_id!r} was written by another process{found}; "
        "read the journal and decide again"
    )


def _store_error(url: str, error: exc.DatabaseError) -> StoreError:
    text = str(error.orig)
    if "not a database" in text or "malformed" in text or "file is encrypted" in text:
        return StoreCorrupt(
            f"{url} is not a store of blackbox_am, or it is damaged ({text}); "
            "name another file, or restore it from a backup"
        )
    if "readonly" in text or "unable to open" in text:
        return StoreError(
            f"cannot write the store {url} ({text}); check the permissions of the file "
            "and of its folder"
        )
    if "full" in text or "disk I/O" in text:
        return StoreError(
            f"the store {url} could not be written ({text}); see that its disk has room and is "
            "sound. What was told before is kept; what is refused now may be sent again"
        )
    return StoreError(f"the store {url} failed: {text}")
