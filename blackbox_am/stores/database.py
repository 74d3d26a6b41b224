"""One SQL database: its tables, connections and transactions."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from threading import RLock
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc

from blackbox_am.errors import StoreCorrupt, StoreError
from blackbox_am.stores.engines import engines_of, file_of, url_of
from blackbox_am.stores.faults import CURE, store_error

SCHEMA_VERSION = 4
SEAL_BYTES = 4
STUDY_ID = sa.String(63).with_variant(sa.String(63, collation="C"), "postgresql")
"""Ordered by bytes everywhere, where PostgreSQL would order by the rules of a language."""
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

    A transaction reads one state of the database, and no other process writes during a transaction
    that writes.

    Args:
        url: as of `SQLStore`.

    Attributes:
        shown: the URL in SQLAlchemy's form without its password, for messages.

    Raises:
        StoreError: if the database cannot be opened or written.
        StoreCorrupt: if the file is damaged, or belongs to another program.
    """

    def __init__(self, url: str) -> None:
        parsed = url_of(url)
        self.shown = parsed.render_as_string(hide_password=True)
        self._file = file_of(parsed)
        self._failing = False
        self._engines = engines_of(parsed, self._file)
        shared = self._engines.of_one_connection
        self._turn: AbstractContextManager[object] = RLock() if shared else nullcontext()
        try:
            with self._translated():
                self._prepare()
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
    def writing(self) -> Iterator[sa.Connection]:
        """A connection in a transaction whose data are durable when it has ended.

        Raises:
            StoreError: if the transaction fails, or has gone to a file that was deleted.
        """
        with self._watched(), self._translated(), self._engines.writer.begin() as connection:
            yield connection

    @contextmanager
    def passing(self) -> Iterator[sa.Connection]:
        """A connection in a transaction whose data may be lost at a loss of power."""
        with self._watched(), self._translated(), self._engines.passing.begin() as connection:
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
        if self._engines.reader.dialect.name == "sqlite":
            return "((julianday('now') - 2440587.5) * 86400.0)"
        return "extract(epoch from clock_timestamp())"

    def close(self) -> None:
        """Closes the connections."""
        with self._turn:  # another thread may be executing a statement
            self._engines.dispose()

    def _prepare(self) -> None:
        with self._engines.writer.begin() as connection:
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
                f"{self.shown} is a database, but not a store of blackbox_am: it holds the tables "
                f"{', '.join(sorted(tables))}; name another store"
            )
        if version == SCHEMA_VERSION:
            with self._engines.writer.begin() as connection:
                added = [table for table in metadata.sorted_tables if table.info == ADDED]
                metadata.create_all(connection, [t for t in added if t.name not in tables])
                for place in (place for table in added for place in table.indexes):
                    place.create(connection, checkfirst=True)
        else:
            raise StoreCorrupt(
                f"{self.shown} is a store of schema version {version}, and this program reads "
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
                raise store_error(self.shown, error) from error
            except UnicodeDecodeError as error:  # from a name in a damaged page
                raise StoreCorrupt(f"{self.shown} is damaged ({error}); {CURE}") from error
            except exc.TimeoutError as error:  # every connection waits for a slow disk
                raise StoreError(
                    f"the store {self.shown} is too slow ({error}); try again"
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
