"""Stores of older schema versions are migrated whole, or refused with what to do."""

import sqlite3
from contextlib import closing
from hashlib import sha256

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from blackbox_am.core.types import StudyState
from blackbox_am.errors import StoreCorrupt, StoreError
from blackbox_am.stores import SQLStore, migrations
from blackbox_am.stores.database import SCHEMA_VERSION, metadata
from blackbox_am.studies import reports
from blackbox_am.studies.live import LiveStudy
from tests.stores.fixtures.loading import copied, old_store
from tests.stores.fixtures.write_store import measure

OLD = range(migrations.OLDEST, SCHEMA_VERSION)


def contents(path):
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


def check_migrated(url):
    """The store has the present tables, and its studies go on."""
    with closing(SQLStore(url, migrate=True)) as store:
        with store._database.reading() as connection:
            assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        assert [entry.study_id for entry in store.studies()] == ["ended", "going-on"]
        assert reports.load(store, "ended").state is StudyState.SUCCEEDED
        live = LiveStudy.recover(store, "going-on")
        measure(live)
        assert live.study.state is StudyState.SUCCEEDED
        ended = reports.load(store, "ended")
        assert [target.queries for target in ended.targets] == [12, 12]
        assert store.artifacts.get(sha256(b"an artifact").hexdigest()) == b"an artifact"
    SQLStore(url).close()  # which needs no migration any more


@pytest.mark.parametrize("version", OLD)
def test_an_old_store_is_migrated(version, tmp_path):
    check_migrated(old_store(version, tmp_path / "s.sqlite3"))


@pytest.mark.parametrize("version", OLD)
def test_an_old_store_in_postgresql_is_migrated(version, tmp_path, empty_url):
    check_migrated(copied(old_store(version, tmp_path / "s.sqlite3"), empty_url))


@pytest.mark.parametrize("version", OLD)
def test_an_old_store_is_not_changed_unasked(version, tmp_path):
    path = old_store(version, tmp_path / "s.sqlite3")
    before = contents(path)
    with pytest.raises(StoreError, match=f"schema version {version}.*blackbox-am store migrate"):
        SQLStore(path)
    assert contents(path) == before


def test_a_store_of_before_the_first_release_is_refused(tmp_path):
    path = old_store(2, tmp_path / "s.sqlite3")
    for migrate in (False, True):
        with pytest.raises(StoreError, match=r"version 2, of a program before .* another store"):
            SQLStore(path, migrate=migrate)


def test_a_newer_store_is_refused(tmp_path):
    path = tmp_path / "s.sqlite3"
    SQLStore(str(path)).close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE blackbox_am SET schema_version = 99")
    for migrate in (False, True):
        with pytest.raises(StoreError, match=r"newer version .* 99, .*; upgrade blackbox-am"):
            SQLStore(str(path), migrate=migrate)


def test_a_failed_migration_changes_nothing(tmp_path):
    path = old_store(3, tmp_path / "s.sqlite3")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE claims (another INTEGER)")
    before = contents(path)
    with pytest.raises(StoreCorrupt, match="principal"):
        SQLStore(path, migrate=True)
    assert contents(path) == before


def test_each_version_is_one_step():
    for version in OLD:
        assert [line.split(":")[0] for line in migrations.steps(version)] == [
            f"to version {after}" for after in range(version + 1, SCHEMA_VERSION + 1)
        ]
    assert migrations.steps(SCHEMA_VERSION) == []


def tables(store):
    with closing(store), store._database.reading() as connection:
        return set(sa.inspect(connection).get_table_names())


def test_a_new_store_has_the_tables_of_the_last_migration(tmp_path):
    old = SQLStore(old_store(3, tmp_path / "s.sqlite3"), migrate=True)
    assert tables(SQLStore(str(tmp_path / "new.sqlite3"))) == tables(old)
