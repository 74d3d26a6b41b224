"""The files of caches and ledgers: shared by processes, and never another program's."""

import sqlite3
import subprocess
import sys
import time

import pytest

from blackbox_am.errors import InvalidSpec, StoreCorrupt, StoreError
from blackbox_am.oracles.simulated import Simulated
from blackbox_am.oracles.wrappers._shared_file import SharedFile
from blackbox_am.oracles.wrappers.cache import Cache
from blackbox_am.oracles.wrappers.cache._answers import AnswerBook
from tests import forked


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "answers.sqlite3")


def test_what_cannot_be_written_whole_is_not_written(path):
    file = SharedFile(path, "cache", 1, 1, ("CREATE TABLE IF NOT EXISTS t (x)",))
    for error in (ZeroDivisionError, None):
        try:
            with file.writing() as connection:
                connection.execute("INSERT INTO t VALUES (1)")
                if error is not None:
                    raise error
        except ZeroDivisionError:
            pass
    with file.reading() as connection:
        assert connection.execute("SELECT count(*) FROM t").fetchone() == (1,)
    file.close()
    with pytest.raises(StoreError, match="closed"), file.reading() as connection:
        connection.execute("SELECT 1")


WRITER = """
import sys
import numpy as np
from blackbox_am.oracles.wrappers.cache._answers import AnswerBook
path, name = sys.argv[1:]
book = AnswerBook(path)
for i in range(40):
    mine, shared = f"{name}-{i}".encode(), f"shared-{i}".encode()
    book.write({key: np.array([i, i + 1], "f4") for key in (mine, shared)}, ["a", f"b-{name}"])
    assert book.read([shared], ["a"])[shared] == i
book.close()
"""


@pytest.mark.slow
def test_processes_share_the_file(path):
    names = ["one", "two", "three"]
    command = [sys.executable, "-c", WRITER, path]
    writers = [forked.Popen([*command, name]) for name in names]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    book = AnswerBook(path)
    for name in names:
        keys = [f"{who}-{i}".encode() for who in (name, "shared") for i in range(40)]
        found = book.read(keys, ["a", f"b-{name}"])
        assert [row.tolist() for row in found.values()] == [[i, i + 1] for i in range(40)] * 2
    book.close()


BUYER = """
import sys, time
import numpy as np
from blackbox_am.oracles.wrappers.cache._answers import AnswerBook
path, log = sys.argv[1:]
book = AnswerBook(path)
print("ready", flush=True)
sys.stdin.readline()
missing = [f"stimulus {i}".encode() for i in range(60)]
while missing:
    for key in book.claim(missing[:3]):
        if np.isnan(book.read([key], ["a"])[key]).any():
            with open(log, "ab") as sink:
                sink.write(key + b"\\n")
            time.sleep(0.002)
            book.write({key: np.ones(1, "f4")}, ["a"])
        book.release([key])
    missing = [key for key, row in book.read(missing, ["a"]).items() if np.isnan(row).any()]
"""


@pytest.mark.slow
def test_processes_that_want_the_same_at_once_buy_it_once(path, tmp_path):
    log = tmp_path / "log"
    command = [sys.executable, "-c", BUYER, path, str(log)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    buyers = [forked.Popen(command, **pipes) for _ in range(3)]
    for buyer in buyers:
        assert buyer.stdout.readline() == "ready\n"
    for buyer in buyers:
        buyer.communicate("go\n", timeout=60)
        assert buyer.returncode == 0
    bought = log.read_text().splitlines()
    assert sorted(bought) == sorted(f"stimulus {i}" for i in range(60))


def test_a_claim_keeps_others_off_until_it_is_given_back(path):
    one, two = AnswerBook(path), AnswerBook(path)
    assert one.claim([b"a", b"b"]) == [b"a", b"b"]
    assert two.claim([b"a", b"c"]) == [b"c"]
    two.release([b"a"])  # not its own
    assert two.claim([b"a"]) == []
    one.release([b"a"])
    assert two.claim([b"a", b"b"]) == [b"a"]
    one.close()
    two.close()


def test_the_claims_of_the_dead_are_void(path):
    program = (
        "import sys; from blackbox_am.oracles.wrappers.cache._answers import AnswerBook;"
        "print(AnswerBook(sys.argv[1]).claim([b'a']))"
    )
    done = forked.run([sys.executable, "-c", program, path], timeout=60)
    assert done.stdout == "[b'a']\n"
    book = AnswerBook(path)
    assert book.claim([b"a"]) == [b"a"]
    book.close()


def test_nobody_waits_for_a_claim_for_ever(path, monkeypatch):
    one, two = AnswerBook(path), AnswerBook(path)
    one.claim([b"a"])
    assert two.claim([b"a"]) == []
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 601)
    assert two.claim([b"a"]) == [b"a"]
    one.close()
    two.close()


def test_other_files_are_left_alone(tmp_path):
    text = tmp_path / "notes.txt"
    text.write_text("no database at all, but long enough to be read as one" * 40)
    with pytest.raises(StoreCorrupt, match="choose another path"):
        Cache(Simulated(), str(text)).describe()
    other = tmp_path / "other.sqlite3"
    connection = sqlite3.connect(other)
    connection.execute("CREATE TABLE mine (x)")
    connection.close()
    with pytest.raises(StoreCorrupt, match="not written by this version"):
        Cache(Simulated(), str(other)).describe()
    with pytest.raises(StoreError, match="unable to open"):
        Cache(Simulated(), str(tmp_path / "no" / "folder.sqlite3")).describe()
    with pytest.raises(InvalidSpec, match="path"):
        Cache(Simulated(), "")
