"""A SQLite file that threads and processes share."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from blackbox_am.errors import StoreCorrupt, StoreError

BUSY_SECONDS = 30.0


class SharedFile:
    """One connection to a file, used by one thread of this process at a time.

    A transaction is on the disk when `writing` ends.

    Args:
        path: of the file, or `:memory:`.
        noun: the word for the file in messages.
        application: SQLite's application id of such files.
        version: of their format.
        schema: statements that create the missing tables.

    Raises:
        StoreError: if the file cannot be opened.
        StoreCorrupt: if another program wrote the file.
    """

    def __init__(
        self, path: str, noun: str, application: int, version: int, schema: Sequence[str]
    ) -> None:
        self._name = f"the {noun} {path}"
        self._lock = threading.Lock()
        with self._translated():
            self._connection = sqlite3.connect(
                path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            try:
                self._check((application, version))
                self._write_ahead()
                self._connection.execute("PRAGMA synchronous = FULL")
                self._prepare((application, version), schema)
            except BaseException:
                self._connection.close()
                raise

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The connection, for one or more queries.

        Raises:
            StoreError, StoreCorrupt: if the file cannot be read.
        """
        with self._lock, self._translated():
            yield self._connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """The connection in a write transaction: no other connection writes meanwhile.

        Raises:
            StoreError, StoreCorrupt: if the file cannot be written; nothing was written then.
        """
        with self._lock, self._translated(), self._transaction():
            yield self._connection

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            self._connection.close()

    def _write_ahead(self) -> None:
        # SQLite does not wait for another process that is changing the mode too.
        deadline = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                self._connection.execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
            else:
                return

    def _prepare(self, expected: tuple[int, int], schema: Sequence[str]) -> None:
        with self._transaction():
            self._check(expected)
            for statement in schema:
                self._connection.execute(statement)
            self._connection.execute(f"PRAGMA application_id = {expected[0]}")
            self._connection.execute(f"PRAGMA user_version = {expected[1]}")

    def _check(self, expected: tuple[int, int]) -> None:
        """Refuses a file with tables of another program."""
        (application,) = self._connection.execute("PRAGMA application_id").fetchone()
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        (tables,) = self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if tables and (application, version) != expected:
            raise StoreCorrupt(
                f"{self._name} was not written by this version of blackbox_am, or is another "
                "file; choose another path"
            )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.OperationalError, sqlite3.ProgrammingError) as error:
            raise StoreError(f"{self._name} cannot be used: {error}") from error
        except sqlite3.DatabaseError as error:
            raise StoreCorrupt(
                f"{self._name} is damaged, or is another file ({error}); choose another path"
            ) from error
