"""The store keeps what it was given, in order, and says clearly what it is not."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from blackbox_am.core.store import StoredSnapshot
from blackbox_am.errors import NotFound, SequenceTaken, StoreCorrupt, StoreError
from blackbox_am.stores import SQLStore


@pytest.fixture(params=["file", "memory"])
def store(request, tmp_path: Path):
    store = SQLStore(str(tmp_path / "s.sqlite3") if request.param == "file" else ":memory:")
    yield store
    store.close()


def test_reads_back_what_was_appended(store):
    store.append("a", 1, [b"one"])
    store.append("a", 2, [b"two", b"three"])
    assert [(r.sequence, r.body) for r in store.read("a")] == [
        (1, b"one"),
        (2, b"two"),
        (3, b"three"),
    ]
    assert [r.sequence for r in store.read("a", after=1)] == [2, 3]
    assert [r.sequence for r in store.read("a", after=0, limit=2)] == [1, 2]
    assert store.read("a", after=3) == []


@pytest.mark.parametrize("sequence", [1, 2, 4])
def test_refuses_a_taken_place_and_a_gap(store, sequence):
    store.append("a", 1, [b"1", b"2"])
    with pytest.raises(SequenceTaken, match="another process"):
        store.append("a", sequence, [b"x"])
    assert len(store.read("a")) == 2


def test_a_refused_append_leaves_no_snapshot(store):
    store.append("a", 1, [b"1"])
    with pytest.raises(SequenceTaken):
        store.append("a", 1, [b"x"], StoredSnapshot(1, 1, b"s"))
    assert store.load_snapshot("a") is None


def test_keeps_the_last_snapshot(store):
    store.append("a", 1, [b"1"], StoredSnapshot(0, 1, b"old"))
    store.append("a", 2, [b"2"], StoredSnapshot(5, 2, b"new"))
    assert store.load_snapshot("a") == StoredSnapshot(5, 2, b"new")


def test_lists_and_deletes(store):
    for name in ("b", "a", "c"):
        store.append(name, 1, [b"1"], StoredSnapshot(0, 1, b"s"))
    assert store.study_ids() == ["a", "b", "c"]
    assert store.study_ids(after="a", limit=1) == ["b"]
    store.delete("b")
    assert store.study_ids() == ["a", "c"]
    assert store.load_snapshot("b") is None
    for forgotten in (store.read, store.delete):
        with pytest.raises(NotFound, match="'b'"):
            forgotten("b")


def test_keeps_the_last_note_and_none_in_memory(store, request):
    store.append("a", 1, [b"1"])
    assert store.noted("a") is None
    store.note("a", b"first")
    store.note("a", b"second")
    kept = None if store.url == "sqlite://" else b"second"
    assert store.noted("a") == kept
    store.delete("a")
    store.note("a", b"late")
    store.append("a", 1, [b"1"])
    assert store.noted("a") is None, "it was another study's"


def test_a_store_from_before_there_were_notes(tmp_path):
    path = str(tmp_path / "s.sqlite3")
    old = SQLStore(path)
    old.append("a", 1, [b"1"])
    old.close()
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE notes")
    connection.close()
    store = SQLStore(path)
    store.note("a", b"x")
    assert store.noted("a") == b"x"
    store.close()


def test_a_request_is_bound_once(store):
    assert store.remember_request("r1", "a") == "a"
    assert store.remember_request("r1", "b") == "a"


def test_one_of_many_threads_wins_each_place(tmp_path):
    path = str(tmp_path / "s.sqlite3")
    stores = [SQLStore(path) for _ in range(4)]
    wins: list[int] = []

    def race(index: int) -> None:
        for sequence in range(1, 21):
            try:
                stores[index].append("a", sequence, [str(index).encode()])
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


def test_survives_a_killed_process(tmp_path):
    path = tmp_path / "s.sqlite3"
    program = (
        "import os, sys; from blackbox_am.stores import SQLStore\n"
        "s = SQLStore(sys.argv[1])\n"
        "for i in range(1, 10**6):\n"
        "    s.append('a', i, [b'x' * 1000]); s.note('a', str(i).encode()); print(i, flush=True)\n"
    )
    child = subprocess.Popen(
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
    store = SQLStore(str(path))
    records, noted = store.read("a"), int(store.noted("a"))
    assert len(records) >= noted >= durable
    assert [r.sequence for r in records] == list(range(1, len(records) + 1))


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


def test_a_newer_schema_is_refused(tmp_path):
    path = tmp_path / "s.sqlite3"
    SQLStore(str(path)).close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE blackbox_am SET schema_version = 99")
    connection.close()
    with pytest.raises(StoreCorrupt, match="schema version 99"):
        SQLStore(str(path))


def test_a_missing_folder_and_a_bad_url_are_explained(tmp_path):
    with pytest.raises(StoreError, match="no folder"):
        SQLStore(str(tmp_path / "nowhere" / "s.sqlite3"))
    with pytest.raises(StoreError, match="not a store"):
        SQLStore("://")


def test_a_file_that_cannot_be_written_is_explained(tmp_path):
    path = tmp_path / "s.sqlite3"
    SQLStore(str(path)).close()
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere; the wire test uses a directory in its place")
    path.chmod(0o400)
    with pytest.raises(StoreError, match="permissions"):
        SQLStore(str(path)).append("a", 1, [b"x"])


def test_a_folder_in_place_of_the_file_is_explained(tmp_path):
    with pytest.raises(StoreError, match="permissions"):
        SQLStore(str(tmp_path))
