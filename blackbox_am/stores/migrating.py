"""The migration of a store: what it would do, and doing it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from blackbox_am.errors import Conflict, StoreError
from blackbox_am.stores import migrations
from blackbox_am.stores.database import SCHEMA_VERSION, check_version, stored_version
from blackbox_am.stores.engines import engines_of, file_of, shown, url_of
from blackbox_am.stores.faults import store_error
from blackbox_am.stores.sql import SQLStore


def pending(url: str) -> list[str]:
    """The steps that lead a store to the present schema version; empty if it has this version.

    The store is not changed.

    Args:
        url: as of `SQLStore`.

    Raises:
        StoreError: if the store cannot be read, or its version cannot be migrated.
        StoreCorrupt: if the database belongs to another program.
    """
    with _reading(url) as connection:
        return _steps(connection, shown(url_of(url)))


def migrate(url: str) -> None:
    """Leads a store to the present schema version, in one transaction.

    Args:
        url: as of `SQLStore`.

    Raises:
        Conflict: if a server runs a study of the store.
        StoreError, StoreCorrupt: as `pending`, and if the store cannot be written.
    """
    with _reading(url) as connection:
        if _steps(connection, shown(url_of(url))):
            _check_unused(connection)
    SQLStore(url, migrate=True).close()


def _steps(connection: sa.Connection, name: str) -> list[str]:
    version = stored_version(connection, name)
    if version is None:
        raise StoreError(f"{name} is an empty database, which needs no migration")
    check_version(name, version)
    return [] if version == SCHEMA_VERSION else migrations.steps(version)


def _check_unused(connection: sa.Connection) -> None:
    """Checks that no process holds a lease. The clock is that of the database."""
    clock = "extract(epoch from clock_timestamp())"
    if connection.dialect.name == "sqlite":
        clock = "((julianday('now') - 2440587.5) * 86400.0)"
    query = f"SELECT name FROM leases WHERE name <> '' AND expires > {clock} LIMIT 1"  # noqa: S608
    name = connection.exec_driver_sql(query).scalar()
    if name is not None:
        raise Conflict(f"{name} runs a study of this store; stop it, and migrate the store again")


@contextmanager
def _reading(url: str) -> Iterator[sa.Connection]:
    parsed = url_of(url)
    engines = engines_of(parsed, file_of(parsed))
    try:
        with engines.reader.connect() as connection:
            yield connection
    except sa.exc.DatabaseError as error:
        raise store_error(shown(parsed), error) from error
    finally:
        engines.dispose()
