"""A store in a real PostgreSQL server: races between processes, killed and stopped processes, and
a server that goes away.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import closing

import pytest
import sqlalchemy as sa

from blackbox_am.core.accounts import Account, Order
from blackbox_am.errors import NotOwner, SequenceTaken, StoreCorrupt, StoreError
from blackbox_am.stores import SQLStore
from blackbox_am.testing.callers import entries

RACE = """
import sys
from blackbox_am.errors import NotOwner, SequenceTaken
from blackbox_am.stores import SQLStore
from blackbox_am.testing.callers import entries
store, me, how = SQLStore(sys.argv[1]), sys.argv[2], sys.argv[3]
print("ready", flush=True); sys.stdin.readline()
won = 0
for place in range(1, 41):
    try:
        if how == "lease":
            store.leases.take(f"s{place}", me, me, 60.0)
        elif how == "artifact":
            won += len(store.artifacts.put(str(place).encode() * 1000)) > 0
            continue
        elif how == "request":
            won += store.remember_request(f"r{place}", me) == me
            continue
        else:
            store.append("a", place, entries(me.encode()))
        won += 1
    except (SequenceTaken, NotOwner):
        pass
print(won)
"""

WRITER = """
import sys
from blackbox_am.stores import SQLStore
from blackbox_am.testing.callers import entries
store = SQLStore(sys.argv[1]); token = store.leases.take("a", "p", "p", 60).token
for place in range(1, 10**6):
    store.append("a", place, entries(b"x" * 1000), token=token)
    store.note("a", token, str(place).encode()); print(place, flush=True)
"""


def started(program: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["append", "lease", "artifact", "request"])
def test_one_of_many_processes_wins(empty_url, how):
    SQLStore(empty_url).close()
    racers = [started(RACE, empty_url, name, how) for name in ("p", "q", "r")]
    for one in racers:
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
    won = [int(one.communicate("\n")[0]) for one in racers]
    assert all(one.returncode == 0 for one in racers), "no other error than those expected"
    with closing(SQLStore(empty_url)) as store:
        if how == "append":  # a process that comes late appends behind the others
            assert sum(won) == len(store.read("a"))
        else:
            assert sum(won) == {"artifact": 120}.get(how, 40)


@pytest.mark.slow
def test_what_a_killed_process_was_told_is_there(empty_url):
    child = started(WRITER, empty_url)
    assert child.stdout is not None
    durable = 0
    for line in child.stdout:
        durable = int(line)
        if durable >= 20:
            child.kill()
            break
    child.communicate()
    with closing(SQLStore(empty_url)) as store:
        records = store.read("a")
        assert len(records) >= int(store.notes("a")[0].body) >= durable
        assert [one.sequence for one in records] == list(range(1, len(records) + 1))


@pytest.mark.slow
def test_a_process_that_stands_still_keeps_nobody_from_writing(empty_url):
    """Whenever the process stops, also within a transaction, others write again in seconds."""
    child = started(WRITER, empty_url)
    try:
        assert child.stdout is not None
        with closing(SQLStore(empty_url)) as store:
            for place in range(1, 6):
                child.stdout.readline()
                os.kill(child.pid, signal.SIGSTOP)
                store.append("b", place, entries(b"y"))
                os.kill(child.pid, signal.SIGCONT)
            assert len(store.read("b")) == 5
    finally:
        child.kill()
        child.communicate()


def test_a_transaction_that_stands_still_is_ended(empty_url, monkeypatch):
    monkeypatch.setattr("blackbox_am.stores.engines.IDLE_SECONDS", 0.2)
    with closing(SQLStore(empty_url)) as still, closing(SQLStore(empty_url)) as other:

        def slow():
            yield b"x"
            other.append("a", 1, entries(b"1"))  # while the first transaction holds the lock
            yield b"y"

        with pytest.raises(StoreError, match="may be sent again"):
            still.artifacts.put(slow())
        assert len(other.read("a")) == 1
        assert still.artifacts.put(b"z")


def test_a_server_that_went_away_is_told_and_found_again(postgresql, empty_url):
    with closing(SQLStore(empty_url)) as store:
        store.append("a", 1, entries(b"1"))
        postgresql.stop(at_once=True)
        try:
            for attempt in (lambda: store.read("a"), lambda: store.append("a", 2, entries(b"2"))):
                with pytest.raises(StoreError, match=r"cannot be reached.*may be sent again"):
                    attempt()
        finally:
            postgresql.start()
        store.append("a", 2, entries(b"2"))
        assert [one.sequence for one in store.read("a")] == [1, 2]


def test_nothing_is_there_at_the_address(postgresql):
    with pytest.raises(StoreError, match=r"cannot be reached.*see that it runs"):
        SQLStore("postgresql://postgres@127.0.0.1:1/x")
    with pytest.raises(StoreError, match='database "nobody_made_it" does not exist'):
        SQLStore(postgresql.url("nobody_made_it"))


def test_a_password_is_in_no_message(postgresql):
    with pytest.raises(StoreError) as caught:
        SQLStore("postgresql://ann:se-cret@127.0.0.1:1/x")
    assert "se-cret" not in str(caught.value)
    assert "ann:***@" in str(caught.value)


def test_another_programs_database_is_refused(empty_url):
    engine = sa.create_engine(empty_url)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE customers (name TEXT)")
    engine.dispose()
    with pytest.raises(StoreCorrupt, match=r"not a store of blackbox_am.*customers"):
        SQLStore(empty_url)


def test_studies_are_ordered_as_in_sqlite(empty_url):
    """By bytes, not by the rules of a language, so that pages end at the same places."""
    names = ["a-b", "ab", "B", "a", "Z1", "_x", "a_b"]
    with closing(SQLStore(empty_url)) as store:
        for name in names:
            store.append(name, 1, entries(b"1"), order=Order(Account("ann")))
        assert [one.study_id for one in store.studies()] == sorted(names)
        mine = store.studies(after="Z1", principal="ann")
        assert [one.study_id for one in mine] == [name for name in sorted(names) if name > "Z1"]


def test_one_state_is_read(empty_url):
    """Reads of several statements see no half of another's transaction."""
    with closing(SQLStore(empty_url)) as store, closing(SQLStore(empty_url)) as other:
        store.append("a", 1, entries(b"1"))
        with store._database.reading() as connection:
            count = "SELECT count(*) FROM events"
            assert connection.scalar(sa.text(count)) == 1
            other.append("a", 2, entries(b"2"))
            assert connection.scalar(sa.text(count)) == 1
        assert len(store.read("a")) == 2


def test_writers_need_a_lease_there_too(empty_url):
    with closing(SQLStore(empty_url)) as store, closing(SQLStore(empty_url)) as other:
        lease = store.leases.take("a", "p", "first", 0.2)
        store.append("a", 1, entries(b"1"), token=lease.token)
        with pytest.raises(SequenceTaken):
            store.append("a", 1, entries(b"1"), token=lease.token)
        time.sleep(0.3)
        other.leases.take("a", "q", "second", 60.0)
        with pytest.raises(NotOwner, match="second"):
            store.append("a", 2, entries(b"2"), token=lease.token)
