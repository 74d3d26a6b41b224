"""Connections to a database, for reading and for two kinds of writing.

All transactions that write come one after the other, whatever process they belong to, and each
reads what the earlier ones wrote. A transaction that only reads sees one state of the database.

- SQLite runs in WAL mode. Durable transactions are on the disk when they end (synchronous=FULL).
  Passing transactions are handed to the operating system (synchronous=NORMAL): they survive the end
  of the process, but perhaps not a loss of power.
- PostgreSQL isolates readers by REPEATABLE READ. Writers take an advisory lock, which orders them
  where READ COMMITTED alone would not. Passing transactions do not wait for the disk
  (synchronous_commit=off): a crash of the database server may lose the last of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.pool import StaticPool

from blackbox_am.errors import StoreError
from blackbox_am.stores.presence import StoreFile

WAIT_SECONDS = 30
"""How long a transaction waits for another transaction that writes."""
IDLE_SECONDS = 4
"""PostgreSQL ends a transaction whose process does nothing for this time, such as a stopped
process, so that the transaction does not keep the lock.
"""
CONNECTIONS = 6
"""The most connections of one process to PostgreSQL for reading, and as many for writing.
PostgreSQL has 100 by default for all processes. Readers have their own, because writers hold a
connection while they wait for their turn.
"""
CONNECT_SECONDS = 10
SILENT_SECONDS = 15
"""After this time without an answer from its machine, a connection to PostgreSQL is closed."""

_LOCK = int.from_bytes(b"blackbox", "big") >> 1
"""The number of the advisory lock of writers."""
_READS = "reads"
_PASSES = "passes"
_UNORDERED = "unordered"
_OUTSIDE = "outside"
_SECRETS = ("password", "sslpassword", "passfile")
"""Parameters in a URL of PostgreSQL."""


@dataclass(frozen=True, slots=True)
class Engines:
    """The engines of one database.

    Attributes:
        reader: for transactions that read.
        writer: for durable transactions.
        passing: for passing transactions.
        unordered: for a passing transaction of one statement that writes, which does not wait for
            its turn where the database can do without.
        outside: for statements outside transactions.
    """

    reader: sa.Engine
    writer: sa.Engine
    passing: sa.Engine
    unordered: sa.Engine
    outside: sa.Engine

    @property
    def of_one_connection(self) -> bool:
        """Whether all threads share one connection, as in memory, where each connection would have
        a memory of its own.
        """
        return isinstance(self.reader.pool, StaticPool)

    def dispose(self) -> None:
        """Closes the connections."""
        for engine in (self.reader, self.writer, self.passing):
            engine.dispose()


def url_of(text: str) -> sa.URL:
    """The URL of a store.

    Raises:
        StoreError: if `text` is neither a path nor a URL of a database.
    """
    if text == ":memory:":
        return sa.make_url("sqlite://")
    scheme, mark, _ = text.partition("://")
    if not mark and text.startswith("postgres") and "@" in text:
        raise StoreError(
            "a store begins with 'postgresql://' if it is a PostgreSQL database, as in "
            "postgresql://user@host/name; the given text lacks '://'"
        )
    try:
        url = sa.make_url(text if mark else f"sqlite:///{text}")
    except (exc.ArgumentError, ValueError):  # whose text may have a password
        raise StoreError(
            f"the text that begins with {scheme + mark!r} is not a URL of a database; expected a "
            "path, ':memory:', or a URL such as sqlite:///studies.sqlite3 or "
            "postgresql://user@host:5432/name"
        ) from None
    if url.get_backend_name() in ("postgresql", "postgres"):
        url = url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() == "sqlite":
        _check_path(url, text)
    elif url.get_backend_name() != "postgresql":
        raise StoreError(
            "a store is a SQLite file or a PostgreSQL database, such as "
            f"postgresql://user@host/name; got a URL of {url.get_backend_name()!r}"
        )
    return url


def _check_path(url: sa.URL, text: str) -> None:
    """Refuses texts from which SQLite would make a file of another name.

    SQLite ignores slashes at the end of a path, and takes a URL with too few slashes for a path.
    """
    path = url.database or ""
    if url.query or path.startswith("file:"):
        raise StoreError(f"a SQLite store is named by its path, without options; got {text!r}")
    if url.host:
        raise StoreError(
            "a URL of a SQLite store has three slashes before its path, as in "
            f"sqlite:///{url.host}{path and '/' + path}; got {text!r}"
        )
    if path == ":memory:":
        return
    name = Path(path).name
    if path.startswith("sqlite:") or name.startswith(":") or path.endswith("/") or not text.strip():
        raise StoreError(
            f"{text!r} is not the name of a store; expected the path of a file, such as "
            "studies.sqlite3, ':memory:', or a URL such as sqlite:///studies.sqlite3"
        )


def shown(url: sa.URL) -> str:
    """The text of a URL without its passwords."""
    hidden = dict.fromkeys(set(_SECRETS) & url.query.keys(), "***")
    return url.update_query_dict(hidden).render_as_string(hide_password=True)


def file_of(url: sa.URL) -> StoreFile | None:
    """The file of a SQLite database; None for a database in memory or on a server."""
    if url.get_backend_name() != "sqlite" or url.database in (None, "", ":memory:"):
        return None
    return StoreFile(Path(str(url.database)))


def engines_of(url: sa.URL, file: StoreFile | None) -> Engines:
    """The engines of a database.

    Args:
        url: its URL.
        file: its file, which is checked at each new connection; None for other databases.

    Raises:
        StoreError: if the folder of a SQLite file, or the driver of PostgreSQL, is missing.
    """
    return _sqlite(url, file) if url.get_backend_name() == "sqlite" else _postgresql(url)


def _sqlite(url: sa.URL, file: StoreFile | None) -> Engines:
    durable = _sqlite_engine(url, file, "FULL")
    passing = durable if file is None else _sqlite_engine(url, file, "NORMAL")
    return Engines(
        durable.execution_options(**{_READS: True}),
        durable,
        passing,
        passing,
        durable.execution_options(**{_OUTSIDE: True}),
    )


def _sqlite_engine(url: sa.URL, file: StoreFile | None, synchronous: str) -> sa.Engine:
    options: dict[str, Any] = {
        "connect_args": {"check_same_thread": False, "timeout": WAIT_SECONDS}
    }
    if file is None:
        options["poolclass"] = StaticPool
    engine = sa.create_engine(url, **options)

    def check_file(*_: object) -> None:
        if file is not None:
            file.check_before()

    def set_pragmas(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # only the BEGIN below is executed
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(f"PRAGMA synchronous={synchronous}")

    def begin(connection: sa.Connection) -> None:
        # A writer that takes the lock at the beginning cannot fail later for lack of the lock; a
        # reader needs no lock.
        options = connection.get_execution_options()
        if _OUTSIDE not in options:
            connection.exec_driver_sql("BEGIN" if _READS in options else "BEGIN IMMEDIATE")

    sa.event.listen(engine, "do_connect", check_file)
    sa.event.listen(engine, "connect", set_pragmas)
    sa.event.listen(engine, "begin", begin)
    return engine


def _postgresql(url: sa.URL) -> Engines:
    reader, writer = (_postgresql_engine(url) for _ in range(2))
    reads = {_READS: True, "isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    return Engines(
        reader.execution_options(**reads),
        writer,
        writer.execution_options(**{_PASSES: True}),
        reader.execution_options(**{_UNORDERED: True}),
        writer.execution_options(**{_OUTSIDE: True, "isolation_level": "AUTOCOMMIT"}),
    )


def _postgresql_engine(url: sa.URL) -> sa.Engine:
    limits = {
        "connect_timeout": CONNECT_SECONDS,
        "keepalives_idle": SILENT_SECONDS // 3,
        "keepalives_interval": SILENT_SECONDS // 3,
        "keepalives_count": 2,
        "tcp_user_timeout": SILENT_SECONDS * 1000,
    }
    try:
        engine = sa.create_engine(
            url,
            connect_args={key: value for key, value in limits.items() if key not in url.query},
            pool_pre_ping=True,
            pool_size=CONNECTIONS,
            max_overflow=0,
            pool_timeout=WAIT_SECONDS,
        )
    except ModuleNotFoundError as error:
        raise StoreError(
            "a store in PostgreSQL needs the driver psycopg: pip install 'blackbox-am[postgresql]'"
        ) from error

    def set_limits(connection: Any, _record: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"SET lock_timeout = '{WAIT_SECONDS}s'")
            cursor.execute(f"SET idle_in_transaction_session_timeout = '{IDLE_SECONDS}s'")
        connection.commit()

    def begin(connection: sa.Connection) -> None:
        options = connection.get_execution_options()
        if {_READS, _UNORDERED, _OUTSIDE} & options.keys():
            return
        lock = f"SELECT pg_advisory_xact_lock({_LOCK})"
        if _PASSES in options:
            lock += ", set_config('synchronous_commit', 'off', true)"
        connection.exec_driver_sql(lock)

    sa.event.listen(engine, "connect", set_limits)
    sa.event.listen(engine, "begin", begin)
    return engine
