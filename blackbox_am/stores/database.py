"""One SQL database: its tables, connections and transactions."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from threading import RLock
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc

from blackbox_am.core.tally import Tally
from blackbox_am.errors import StoreCorrupt, StoreError
from blackbox_am.stores import migrations
from blackbox_am.stores.engines import engines_of, file_of, shown, url_of
from blackbox_am.stores.faults import CURE, store_error

SCHEMA_VERSION = 5
SEAL_BYTES = 4
STUDY_ID = sa.String(63).with_variant(sa.String(63, collation="C"), "postgresql")
"""Ordered by bytes everywhere, where PostgreSQL would order by the rules of a language."""

metadata = sa.MetaData()
meta = sa.Table(
    "blackbox_am",
    metadata,
    sa.Column("schema_version", sa.Integer, nullable=False),
    sa.Column("last_token", sa.BigInteger, nullable=False),
)


class Database:
    """A database that contains a store.

    A transaction reads one state of the database, and no other process writes during a transaction
    that writes.

    Args:
        url: as of `SQLStore`.
        migrate: whether to migrate a store of an older version; otherwise it is refused.

    Attributes:
        shown: the URL in SQLAlchemy's form without its password, for messages.
        writes: counts of the durable transactions.

    Raises:
        StoreError: if the database cannot be opened or written, or is a store of another version.
        StoreCorrupt: if the file is damaged, or belongs to another program.
    """

    def __init__(self, url: str, *, migrate: bool = False) -> None:
        parsed = url_of(url)
        self.shown, self.writes = shown(parsed), Tally()
        self._file = file_of(parsed)
        self._failing = False
        self._engines = engines_of(parsed, self._file)
        shared = self._engines.of_one_connection
        self._turn: AbstractContextManager[object] = RLock() if shared else nullcontext()
        try:
            with self._translated():
                self._prepare(migrate=migrate)
            if self._file is not None:
                self._file.remember()
            self._write()
        except BaseException:
            self.close()
            raise

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A connection to read from."""
        with self._translated(), self._engines.reader.connect() as connection:
            yield connection

    @contextmanager
    def reading_slowly(self) -> Iterator[sa.Connection]:
        """As `reading`, for a caller that does something else for long between two statements."""
        with self.reading() as connection:
            if connection.dialect.name == "postgresql":
                # The time limit is for writers, whose lock others wait for.
                connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """A connection in a transaction whose data are durable when it has ended.

        Raises:
            StoreError: if the transaction fails, or has gone to a file that was deleted.
        """
        with (
            self.writes.counting(),
            self._watched(),
            self._translated(),
            self._engines.writer.begin() as connection,
        ):
            yield connection

    @contextmanager
    def passing(self) -> Iterator[sa.Connection]:
        """A connection in a transaction whose data may be lost at a loss of power."""
        with self._watched(), self._translated(), self._engines.passing.begin() as connection:
            yield connection

    @contextmanager
    def unordered(self) -> Iterator[sa.Connection]:
        """As `passing`, for one statement that does not wait for other transactions where the
        database can do without.
        """
        with self._watched(), self._translated(), self._engines.unordered.begin() as connection:
            yield connection

    @contextmanager
    def outside(self) -> Iterator[sa.Connection]:
        """A connection outside transactions, for statements that cannot be in one."""
        with self._translated(), self._engines.outside.connect() as connection:
            yield connection

    def size(self) -> int:
        """Bytes that the database takes."""
        if self._file is not None:
            return self._file.size()
        with self.reading() as connection:
            if connection.dialect.name == "sqlite":
                pages = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
            else:
                pages = "SELECT pg_database_size(current_database())"
            return int(connection.exec_driver_sql(pages).scalar() or 0)

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
        if self._engines.reader.dialect.name == "sqlite":
            return "((julianday('now') - 2440587.5) * 86400.0)"
        return "extract(epoch from clock_timestamp())"

    def close(self) -> None:
        """Closes the connections."""
        with self._turn:  # another thread may be executing a statement
            self._engines.dispose()

    def _prepare(self, *, migrate: bool) -> None:
        with self._engines.writer.begin() as connection:
            version = stored_version(connection, self.shown)
            if version is None:
                metadata.create_all(connection)
                row = {"schema_version": SCHEMA_VERSION, "last_token": 0}
                connection.execute(meta.insert(), [row])
                return
            if version == SCHEMA_VERSION:
                return
            check_version(self.shown, version)
            if not migrate:
                raise StoreError(
                    f"the store {self.shown} has schema version {version}, and this program reads "
                    f"version {SCHEMA_VERSION}; stop the servers that use the store, and migrate "
                    "it with `blackbox-am store migrate`"
                )
            migrations.upgrade(connection, version)
            connection.execute(meta.update().values(schema_version=SCHEMA_VERSION))

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
                raise store_error(self.shown, error) from error
            except UnicodeDecodeError as error:  # from a name in a damaged page
                raise StoreCorrupt(f"{self.shown} is damaged ({error}); {CURE}") from error
            except exc.TimeoutError as error:  # every connection waits for a slow disk
                raise StoreError(
                    f"the store {self.shown} is too slow ({error}); try again"
                ) from error


def stored_version(connection: sa.Connection, shown: str) -> int | None:
    """The schema version of a database; None for a database without tables.

    Raises:
        StoreCorrupt: if the database belongs to another program.
    """
    tables = sa.inspect(connection).get_table_names()
    if not tables:
        return None
    version = connection.scalar(sa.select(meta.c.schema_version)) if meta.name in tables else None
    if version is None:
        raise StoreCorrupt(
            f"{shown} is a database, but not a store of blackbox_am: it holds the tables "
            f"{', '.join(sorted(tables))}; name another store"
        )
    return int(version)


def check_version(shown: str, version: int) -> None:
    """Checks that this program reads or migrates stores of a schema version.

    Raises:
        StoreError: if it does not.
    """
    if version > SCHEMA_VERSION:
        raise StoreError(
            f"the store {shown} was written by a newer version of blackbox_am: it has schema "
            f"version {version}, and this program reads version {SCHEMA_VERSION}; upgrade "
            "blackbox-am, or name another store"
        )
    if version < migrations.OLDEST:
        raise StoreError(
            f"the store {shown} has schema version {version}, of a program before the first "
            "release, and its studies cannot be read or migrated; name another store for new "
            "studies, or use the program that wrote it"
        )


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
