"""One SQL database: tables, connections and transactions, and the conversion of its errors.

SQLite runs in WAL mode. The data of a `writing` transaction are on the disk when it ends
(synchronous=FULL). The data of a `passing` transaction are handed to the operating system
(synchronous=NORMAL): they survive the end of the process, but perhaps not a loss of power.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from threading import RLock
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.pool import StaticPool

from blackbox_am.errors import StoreCorrupt, StoreError
from blackbox_am.stores.presence import StoreFile

SCHEMA_VERSION = 4
SEAL_BYTES = 4
CURE = "restore the store from a backup, or delete the study"
STUDY_ID = sa.String(63)
ADDED = {"added": True}
"""Marks a table that older stores of this schema version lack; programs that do not know the table
ignore it.
"""

metadata = sa.MetaData()
meta = sa.Table(
    "blackbox_am",
    metadata,
    sa.Column("schema_version", sa.Integer, nullable=False),
    sa.Column("last_token", sa.BigInteger, nullable=False),
)


class Database:
    """A database that contains a store.

    Args:
        url: as of `SQLStore`.

    Attributes:
        url: the URL in SQLAlchemy's form.

    Raises:
        StoreError: if the database cannot be opened or written.
        StoreCorrupt: if the file is damaged, or belongs to another program.
    """

    def __init__(self, url: str) -> None:
        self.url = _as_url(url)
        self._file = _file_of(self.url)
        self._failing = False
        engine = _engine(self.url, self._file)
        # In memory, all threads share one connection, which has one transaction.
        shared = isinstance(engine.pool, StaticPool)
        self._turn: AbstractContextManager[object] = RLock() if shared else nullcontext()
        self._reader = engine
        self._writer = engine.execution_options(writes=True)
        passing = engine if shared else _engine(self.url, self._file, "NORMAL")
        self._passing = passing.execution_options(writes=True)
        with self._translated():
            self._prepare()
        if self._file is not None:
            self._file.remember()
        self._write()

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A connection to read from."""
        with self._translated(), self._reader.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """A connection in a transaction whose data are durable when it has ended.

        Raises:
            StoreError: if the transaction fails, or has gone to a file that was deleted.
        """
        with self._watched(), self._translated(), self._writer.begin() as connection:
            yield connection

    @contextmanager
    def passing(self) -> Iterator[sa.Connection]:
        """A connection in a transaction whose data may be lost at a loss of power."""
        with self._watched(), self._translated(), self._passing.begin() as connection:
            yield connection

    def check(self) -> None:
        """Check that the database can be used. The database is written to only if the last
        transaction failed.

        Raises:
            StoreError: if it cannot.
        """
        if self._failing:
            self._write()
            return
        with self.reading() as connection:
            connection.scalar(sa.select(meta.c.schema_version))
        if self._file is not None:
            self._file.check()

    @property
    def now(self) -> sa.ColumnElement[float]:
        """The database's clock, in seconds since the epoch; all processes use this clock."""
        return sa.literal_column(self.now_text, sa.Float)

    @property
    def now_text(self) -> str:
        """The SQL expression of `now`."""
        if self._reader.dialect.name == "sqlite":
            return "((julianday('now') - 2440587.5) * 86400.0)"
        return "extract(epoch from clock_timestamp())"

    def close(self) -> None:
        """Closes the connections."""
        with self._turn:  # another thread may be executing a statement
            self._reader.dispose()
            self._passing.dispose()

    def _prepare(self) -> None:
        with self._writer.begin() as connection:
            tables = set(sa.inspect(connection).get_table_names())
            if not tables:
                metadata.create_all(connection)
                row = {"schema_version": SCHEMA_VERSION, "last_token": 0}
                connection.execute(meta.insert(), [row])
                return
            version = (
                connection.scalar(sa.select(meta.c.schema_version))
                if "blackbox_am" in tables
                else None
            )
        if version is None:
            raise StoreCorrupt(
                f"{self.url} is a database, but not a store of blackbox_am: it holds the tables "
                f"{', '.join(sorted(tables))}; name another file"
            )
        if version == SCHEMA_VERSION:
            with self._writer.begin() as connection:
                added = [table for table in metadata.sorted_tables if table.info == ADDED]
                metadata.create_all(connection, [t for t in added if t.name not in tables])
                for place in (place for table in added for place in table.indexes):
                    place.create(connection, checkfirst=True)
        else:
            raise StoreCorrupt(
                f"{self.url} is a store of schema version {version}, and this program reads "
                f"version {SCHEMA_VERSION} only; name another file for new studies, or use the "
                "version of blackbox_am that wrote it"
            )

    def _write(self) -> None:
        with self.writing() as connection:
            connection.execute(meta.update().values(last_token=meta.c.last_token))

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """Remembers whether the transaction inside the context fails."""
        try:
            yield
            if self._file is not None:
                self._file.check()
        except StoreError:
            self._failing = True
            raise
        self._failing = False

    @contextmanager
    def _translated(self) -> Iterator[None]:
        with self._turn:
            try:
                yield
            except exc.DatabaseError as error:
                raise _store_error(self.url, error) from error
            except UnicodeDecodeError as error:  # from a name in a damaged page
                raise StoreCorrupt(f"{self.url} is damaged ({error}); {CURE}") from error
            except exc.TimeoutError as error:  # every connection waits for a slow disk
                raise StoreError(
                    f"the store {self.url} is too slow ({error}); try again"
                ) from error


def seal(body: bytes, *place: object) -> bytes:
    """`body` with a checksum of itself and of its place.

    SQLite does not detect a value that the disk has changed. The checksum of a sealed value detects
    a changed value and a value at a wrong place.
    """
    return body + _checksum(body, place)


def unseal(sealed: Any, what: str, *place: object) -> bytes:
    """The inverse of `seal`.

    Args:
        sealed: the value from the database.
        what: the value's name in messages, such as "event 3 of study 's'".
        place: the place that was passed to `seal`.

    Raises:
        StoreCorrupt: if the value is not the value that was sealed for this place.
    """
    body = bytes(sealed or b"")[:-SEAL_BYTES]
    if sealed is None or bytes(sealed) != seal(body, *place):
        raise StoreCorrupt(f"{what} has changed since it was written, and cannot be read; {CURE}")
    return body


def _checksum(body: bytes, place: tuple[object, ...]) -> bytes:
    where = "/".join(map(str, place)).encode()
    return zlib.crc32(body, zlib.crc32(where)).to_bytes(SEAL_BYTES, "little")


def _as_url(url: str) -> str:
    if url == ":memory:":
        return "sqlite://"
    return url if "://" in url else f"sqlite:///{url}"


def _parsed(url: str) -> sa.URL:
    try:
        return sa.make_url(url)
    except exc.ArgumentError as error:
        raise StoreError(
            f"{url!r} is not a store; expected a path, ':memory:', or a SQLAlchemy URL "
            "such as sqlite:///studies.sqlite3"
        ) from error


def _file_of(url: str) -> StoreFile | None:
    """The file of a SQLite database; None for a database in memory or on a server."""
    parsed = _parsed(url)
    if parsed.get_backend_name() != "sqlite" or parsed.database in (None, "", ":memory:"):
        return None
    return StoreFile(Path(str(parsed.database)))


def _engine(url: str, file: StoreFile | None, synchronous: str = "FULL") -> sa.Engine:
    parsed = _parsed(url)
    if parsed.get_backend_name() != "sqlite":
        return sa.create_engine(parsed, pool_pre_ping=True)
    options: dict[str, Any] = {"connect_args": {"check_same_thread": False, "timeout": 30}}
    if file is None:
        options["poolclass"] = StaticPool  # each connection has its own memory
    engine = sa.create_engine(parsed, **options)

    def check_file(*_: object) -> None:
        if file is not None:
            file.check_before()

    def set_pragmas(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # only the BEGIN below is executed
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(f"PRAGMA synchronous={synchronous}")

    sa.event.listen(engine, "do_connect", check_file)
    sa.event.listen(engine, "connect", set_pragmas)
    sa.event.listen(engine, "begin", _begin)
    return engine


def _begin(connection: sa.Connection) -> None:
    # A writer that takes the lock at the beginning cannot fail later for lack of the lock; a reader
    # needs no lock.
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _store_error(url: str, error: exc.DatabaseError) -> StoreError:
    text = str(error.orig)
    if "not a database" in text or "malformed" in text or "file is encrypted" in text:
        return StoreCorrupt(
            f"{url} is not a store of blackbox_am, or it is damaged ({text}); "
            "name another file, or restore it from a backup"
        )
    if "no such column" in text or "no such table" in text:
        return StoreCorrupt(
            f"{url} is a store of another version of blackbox_am ({text}); name another file for "
            "new studies, or use the version that wrote it"
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
