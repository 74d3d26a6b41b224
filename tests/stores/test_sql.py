"""The store keeps what it was given, in order, and says clearly what it is not."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing

import pytest

from blackbox_am.core.accounts import Account, Order
from blackbox_am.core.store import StoredSnapshot, Summary
from blackbox_am.errors import SequenceTaken, StoreCorrupt, StoreError
from blackbox_am.stores import SQLStore
from blackbox_am.testing.callers import entries
from tests import forked


def test_one_of_many_threads_wins_each_place(closes, tmp_path):
    path = str(tmp_path / "s.sqlite3")
    stores = [closes(SQLStore(path)) for _ in range(4)]
    wins: list[int] = []

    def race(index: int) -> None:
        for sequence in range(1, 21):
            try:
                stores[index].append("a", sequence, entries(str(index).encode()))
                wins.append(sequence)
            except SequenceTaken:
                pass

    threads = [threading.Thread(target=race, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(wins) == list(range(1, len(wins) + 1))
    assert [r.sequence for r in stores[0].read("a")] == sorted(wins)


def test_survives_a_killed_process(closes, tmp_path):
    path = tmp_path / "s.sqlite3"
    program = (
        "import os, sys; from blackbox_am.stores import SQLStore\n"
        "from blackbox_am.testing.callers import entries\n"
        "s = SQLStore(sys.argv[1]); token = s.leases.take('a', 'p', 'p', 60).token\n"
        "for i in range(1, 10**6):\n"
        "    s.append('a', i, entries(b'x' * 1000), token=token)\n"
        "    s.note('a', token, str(i).encode()); print(i, flush=True)\n"
    )
    child = forked.Popen(
        [sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    durable = 0
    for line in child.stdout:
        durable = int(line)
        if durable >= 20:
            child.kill()
            break
    for line in child.stdout:  # what it managed to say before it died
        durable = int(line) if line.endswith("\n") else durable
    child.wait()
    child.stdout.close()
    store = closes(SQLStore(str(path)))
    records, noted = store.read("a"), int(store.notes("a")[0].body)
    assert len(records) >= noted >= durable
    assert [r.sequence for r in records] == list(range(1, len(records) + 1))


def test_openers_of_a_new_file_do_not_take_it_for_an_emptied_one(tmp_path):
    """SQLite makes an empty file before it writes the first page."""
    path, problems = str(tmp_path / "s.sqlite3"), []

    def first() -> None:
        time.sleep(0.2)
        try:
            SQLStore(path).close()
        except StoreError as error:
            problems.append(error)

    (tmp_path / "s.sqlite3").touch()
    with sqlite3.connect(path) as other:  # in the place of another process that opens it
        thread = threading.Thread(target=first)
        thread.start()
        time.sleep(0.5)
        other.execute("PRAGMA journal_mode=WAL")
    other.close()
    thread.join()
    assert not problems


def test_options_of_a_file_are_refused(tmp_path):
    for url in (f"sqlite:///file:{tmp_path}/s?uri=true", f"sqlite:///{tmp_path}/s?mode=ro"):
        with pytest.raises(StoreError, match="named by its path, without options"):
            SQLStore(url)


def test_another_programs_database_is_refused(tmp_path):
    path = tmp_path / "theirs.sqlite3"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE customers (name TEXT)")
    connection.close()
    with pytest.raises(StoreCorrupt, match=r"not a store of blackbox_am.*customers"):
        SQLStore(str(path))


def test_a_file_that_is_no_database_is_refused(tmp_path):
    path = tmp_path / "letter.sqlite3"
    path.write_bytes(b"Dear reader, " * 1000)
    with pytest.raises(StoreCorrupt, match="name another file"):
        SQLStore(str(path))
    assert path.read_bytes().startswith(b"Dear reader")


@pytest.mark.parametrize(
    ("table", "read"),
    [
        ("events", lambda store: store.read("a")),
        ("studies", lambda store: store.find("a")),
        ("folded", lambda store: store.folded("a")),
        ("snapshots", lambda store: store.load_snapshot("a")),
        ("notes", lambda store: store.notes("a")),
        ("artifact_pieces", lambda store: store.artifacts.get(store.artifacts.put(b"x"))),
    ],
)
def test_a_value_that_the_disk_has_changed_is_noticed(tmp_path, table, read):
    path = tmp_path / "s.sqlite3"
    store = SQLStore(str(path))
    token = store.leases.take("a", "p", "p", 60).token
    store.append(
        "a",
        1,
        entries(b"x"),
        token=token,
        summary=Summary("running", "", b"x", b"x"),
        snapshot=StoredSnapshot(0, 1, b"x", b"x"),
    )
    store.note("a", token, b"x")
    read(store)
    with sqlite3.connect(path) as connection:
        connection.execute(f"UPDATE {table} SET body = CAST('y' || substr(body, 2) AS BLOB)")
    connection.close()
    with pytest.raises(StoreCorrupt, match="has changed since it was written"):
        read(store)
    store.close()


def test_a_damaged_row_hides_no_other(tmp_path):
    path = tmp_path / "s.sqlite3"
    store = SQLStore(str(path))
    for name in ("bad", "good"):
        store.append(name, 1, entries(b"x"), summary=Summary("running", "", b"x"))
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE studies SET body = x'00' WHERE study = 'bad'")
    connection.close()
    bad, good = store.studies()
    assert "index entry of study 'bad'" in bad.damage
    assert good.damage == ""
    store.close()


def test_a_missing_folder_and_a_bad_url_are_explained(tmp_path):
    with pytest.raises(StoreError, match="no folder"):
        SQLStore(str(tmp_path / "nowhere" / "s.sqlite3"))
    with pytest.raises(StoreError, match="not a URL of a database"):
        SQLStore("://")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (":", "':' is not the name of a store; expected the path of a file"),
        ("sqlite:///:", "not the name of a store"),
        ("sqlite:///://", "not the name of a store"),
        (":memory", "not the name of a store.*':memory:'"),
        (":memory:/", "not the name of a store"),
        ("", "'' is not the name of a store"),
        (" ", "' ' is not the name of a store"),
        ("studies/", "'studies/' is not the name of a store"),
        ("sqlite:s.sqlite3", "not the name of a store.*sqlite:///studies.sqlite3"),
        ("sqlite:/s.sqlite3", "not the name of a store"),
        ("sqlite://s.sqlite3", "three slashes before its path, as in sqlite:///s.sqlite3;"),
        ("sqlite://folder/s.sqlite3", "as in sqlite:///folder/s.sqlite3;"),
    ],
)
def test_a_text_that_is_not_a_path_makes_no_file(tmp_path, monkeypatch, text, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StoreError, match=message):
        SQLStore(text)
    assert not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_written_is_explained(tmp_path):
    path = tmp_path / "s.sqlite3"
    SQLStore(str(path)).close()
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere; the wire test uses a directory in its place")
    path.chmod(0o400)
    with pytest.raises(StoreError, match="permissions"):
        SQLStore(str(path)).append("a", 1, entries(b"x"))


def test_a_folder_in_place_of_the_file_is_explained(tmp_path):
    with pytest.raises(StoreError, match="permissions"):
        SQLStore(str(tmp_path))


def test_a_store_from_before_tokens_gets_their_tables(closes, tmp_path):
    path = str(tmp_path / "s.sqlite3")
    before = SQLStore(path)
    before.append("a", 1, entries(b"1"), summary=Summary("running", "o", b"s"))
    before.close()
    with closing(sqlite3.connect(path)) as file, file:
        for table in ("tokens", "claims", "artifact_writers", "accounts"):
            file.execute(f"drop table {table}")
        file.execute("update blackbox_am set schema_version = 4")
    after = closes(SQLStore(path, migrate=True))
    assert not after.tokens.exist()
    assert [study.study_id for study in after.studies()] == ["a"]
    after.append("b", 1, entries(b"1"), order=Order(Account("ann")))
    assert after.claims.owner("studies/b") == "ann"


def test_a_store_from_before_an_index_gets_it(tmp_path):
    path = str(tmp_path / "s.sqlite3")
    SQLStore(path).close()
    with closing(sqlite3.connect(path)) as file, file:
        file.execute("drop index claims_of_principal")
        file.execute("create index ix_claims_principal on claims (principal)")
        file.execute("update blackbox_am set schema_version = 4")
    SQLStore(path, migrate=True).close()
    with closing(sqlite3.connect(path)) as file, file:
        names = {name for (name,) in file.execute("select name from sqlite_master")}
    assert "claims_of_principal" in names
    assert "ix_claims_principal" not in names
