"""`blackbox-am store`: checked, moved, compacted, migrated on the command line."""

import json
import sqlite3
from contextlib import closing

import pytest

from blackbox_am.stores import SQLStore, journal
from blackbox_am.studies.checking import check_store
from tests.stores.fixtures.loading import old_store
from tests.stores.fixtures.write_store import write


@pytest.fixture
def store(tmp_path):
    path = tmp_path / "s.sqlite3"
    with closing(SQLStore(str(path))) as made:
        write(made)
    return path


def change(path, statement):
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


def test_a_sound_store_has_no_faults(cli, store, from_json):
    assert cli("store", "check", store).stdout == "2 studies, 0 groups, 1 artifacts: no faults\n"
    assert from_json("store", "check", store) == {
        "studies": 2,
        "groups": 0,
        "artifacts": 1,
        "faults": [],
    }


DAMAGES = {
    "DELETE FROM events WHERE sequence = 3 AND study = 'ended'": (
        "studies/ended: its journal has a gap: event 3 is missing"
    ),
    "DELETE FROM events WHERE sequence = 12 AND study = 'ended'": (
        "studies/ended: its journal ends at event 11, and the index says 12"
    ),
    "UPDATE events SET body = CAST(substr(body, 1, 40) || 'xx' || substr(body, 43) AS BLOB) "
    "WHERE sequence = 1 AND study = 'ended'": (
        "studies/ended: event 1 has changed since it was written"
    ),
    "UPDATE studies SET body = x'00' WHERE study = 'ended'": "studies/ended: its index row has",
    "DELETE FROM studies WHERE study = 'ended'": (
        "store: the index has no row of the study 'ended', whose journal is there"
    ),
    "UPDATE events SET study = 'gone' WHERE sequence > 9 AND study = 'ended'": (
        "store: 3 rows in the table events belong to studies that do not exist"
    ),
    "UPDATE artifact_pieces SET body = x'00'": "has changed since it was written",
    "DELETE FROM artifact_pieces": "it has 0 bytes, and its row says 11",
    "INSERT INTO artifact_references VALUES ('ended', 'input', 'abc')": (
        "studies/ended: its input refers to the artifact abc, which is missing"
    ),
}


@pytest.mark.parametrize("statement", DAMAGES)
def test_each_damage_is_told(cli, store, statement):
    change(store, statement)
    found = cli("store", "check", store)
    assert found.exit_code == 5
    assert DAMAGES[statement] in found.stdout


def test_a_page_that_cannot_be_read_hides_no_other_fault(cli, store):
    change(store, "UPDATE artifact_pieces SET body = x'00'")
    with closing(sqlite3.connect(store)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        query = "SELECT rootpage FROM sqlite_master WHERE name = 'events'"
        (page,) = connection.execute(query).fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    with store.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)
    found = cli("store", "check", store)
    assert found.exit_code == 5
    assert "studies/ended: the database cannot read it" in found.stdout
    assert "has changed since it was written" in found.stdout, "of the artifact"


def test_a_row_of_the_index_that_is_not_the_fold_is_told(cli, store):
    with closing(SQLStore(str(store))) as opened:
        ended, other = opened.find("ended"), opened.find("going-on")
        with opened.database.writing() as connection:
            body = journal.seal(other.body, "ended", "summary", ended.sequence)
            statement = "UPDATE studies SET body = ? WHERE study = 'ended'"
            connection.exec_driver_sql(statement, (body,))
    found = cli("store", "check", store)
    assert found.exit_code == 5
    assert "studies/ended: its index row says something else than its journal" in found.stdout


def test_studies_are_moved(cli, store, tmp_path):
    file, goal = tmp_path / "s.zip", tmp_path / "goal.sqlite3"
    written = cli("store", "export", store, file, "--study", "going-on")
    assert written.stdout.startswith(f"wrote 1 studies, 0 groups and 0 artifacts to {file}")
    assert cli("store", "import", goal, file).stdout.startswith("read 1 studies")
    again = cli("store", "import", goal, file).stdout
    assert "the store had already: going-on" in again
    assert cli("store", "check", goal).exit_code == 0


@pytest.mark.parametrize("content", [None, b"no zip"])
def test_no_store_is_made_for_a_file_that_is_none(cli, tmp_path, content):
    if content is not None:
        (tmp_path / "s.zip").write_bytes(content)
    assert cli("store", "import", tmp_path / "new.sqlite3", tmp_path / "s.zip").exit_code in (3, 5)
    assert not (tmp_path / "new.sqlite3").exists()


def test_what_no_study_needs_is_removed(cli, store):
    with closing(SQLStore(str(store))) as opened:
        opened.artifacts.put(b"x" * 10**6)
    change(store, "UPDATE artifacts SET time = 0")
    change(store, "DELETE FROM studies WHERE study = 'ended'")
    change(store, "DELETE FROM folded WHERE study = 'ended'")
    change(store, "DELETE FROM events WHERE study = 'ended' AND sequence = 1")
    before = store.stat().st_size
    done = cli("store", "compact", store).stdout
    assert "removed 0 snapshots, 11 rows without a study and 2 artifacts" in done
    assert before - store.stat().st_size > 10**6
    assert cli("store", "check", store).exit_code == 0
    with closing(SQLStore(str(store))) as opened:
        assert [entry.study_id for entry in opened.studies()] == ["going-on"]


def test_a_journal_that_the_index_lost_is_kept(cli, store):
    with closing(SQLStore(str(store))) as opened:
        before = opened.read("ended")
    change(store, "DELETE FROM studies WHERE study = 'ended'")
    assert "0 rows without a study" in cli("store", "compact", store).stdout
    with closing(SQLStore(str(store))) as opened:
        assert opened.read("ended") == before


def test_an_old_store_is_migrated_after_a_dry_run(cli, tmp_path):
    path = tmp_path / "old.sqlite3"
    old_store(3, path)
    refused = cli("store", "check", path)
    assert refused.exit_code == 5
    assert "blackbox-am store migrate" in refused.stderr
    dry = cli("store", "migrate", path, "--dry-run")
    assert [line.split(":")[0] for line in dry.stdout.splitlines()] == [
        "to version 4",
        "to version 5",
    ]
    assert "nothing was changed" in dry.stderr
    assert cli("store", "check", path).exit_code == 5
    assert cli("store", "migrate", path).stdout.endswith("migrated\n")
    assert "nothing to do" in cli("store", "migrate", path).stdout
    assert cli("store", "check", path).exit_code == 0


def test_a_store_that_a_server_uses_is_not_migrated(cli, tmp_path):
    path = tmp_path / "old.sqlite3"
    old_store(4, path)
    change(path, "INSERT INTO leases VALUES ('ended', 'o', 'server on lab', 1, 1e12, x'')")
    refused = cli("store", "migrate", path)
    assert refused.exit_code == 3
    assert "server on lab runs a study of this store; stop it" in refused.stderr


@pytest.mark.parametrize("command", ["check", "compact", "migrate"])
def test_a_store_that_is_not_there_is_not_made(cli, tmp_path, command):
    missing = tmp_path / "none.sqlite3"
    assert cli("store", command, missing).exit_code == 3
    assert not missing.exists()


def test_a_locked_store_says_so(cli, store, monkeypatch):
    monkeypatch.setattr("blackbox_am.stores.engines.WAIT_SECONDS", 0.1)
    with closing(sqlite3.connect(store, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        refused = cli("store", "compact", store)
    assert refused.exit_code == 5
    assert "kept by another process that writes" in refused.stderr


def test_every_command_teaches(cli):
    for command in ("check", "export", "import", "compact", "migrate"):
        text = cli("store", command, "--help").stdout
        assert f"blackbox-am store {command}" in text, "an example"


def test_a_check_in_postgresql_finds_the_same(empty_url):
    with closing(SQLStore(empty_url)) as opened:
        write(opened)
        assert check_store(opened).faults == ()
        with opened.database.writing() as connection:
            here = journal.events.c.sequence == 3
            connection.execute(journal.events.delete().where(here))
        found = [fault.where for fault in check_store(opened).faults]
        assert found == ["studies/ended", "studies/going-on"]


def test_a_store_in_postgresql_is_compacted(cli, empty_url):
    with closing(SQLStore(empty_url)) as opened:
        write(opened)
    assert "0 rows without a study" in cli("store", "compact", empty_url).stdout
    assert json.loads(cli("store", "check", empty_url, "--json").stdout)["faults"] == []
