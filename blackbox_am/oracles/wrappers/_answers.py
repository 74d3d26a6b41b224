"""Answers on disk: a SQLite file that several processes may share."""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from blackbox_am.errors import StoreCorrupt, StoreError

log = logging.getLogger(__name__)

FORMAT = 1
APPLICATION = 0x62626163  # "bbac"
BUSY_SECONDS = 30.0
SEAL_BYTES = 4
AT_ONCE = 500
"""Keys in one query: SQLite takes 999 parameters from its beginnings on."""

Answers = dict[bytes, NDArray[np.float32]]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS unit_sets (id INTEGER PRIMARY KEY, addresses TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS answers (
    stimulus BLOB NOT NULL, units INTEGER NOT NULL REFERENCES unit_sets, activations BLOB NOT NULL,
    PRIMARY KEY (stimulus, units)
) WITHOUT ROWID;
"""


class AnswerBook:
    """Activations by stimulus and unit. Safe to use from any thread.

    Units that were bought together lie together, in one value sealed with a checksum of
    itself and its place: an answer that the disk has changed is bought again, not believed.

    Args:
        path: of the file, or `:memory:`.

    Raises:
        StoreError: where it cannot be opened.
        StoreCorrupt: where it is another program's file.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._unit_sets: dict[int, list[str]] = {}
        with self._translated():
            self._connection = sqlite3.connect(
                path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            self._prepare()

    def read(self, stimuli: Sequence[bytes], units: Sequence[str]) -> Answers:
        """(len(units),) float32 for each of `stimuli`, nan where nothing is known."""
        column = {unit: place for place, unit in enumerate(units)}
        found = {key: np.full(len(units), np.nan, np.float32) for key in stimuli}
        keys = list(found)
        with self._lock, self._translated():
            for start in range(0, len(keys), AT_ONCE):
                piece = keys[start : start + AT_ONCE]
                marks = ",".join("?" * len(piece))
                query = f"SELECT * FROM answers WHERE stimulus IN ({marks})"  # noqa: S608  # marks
                rows = self._connection.execute(query, piece).fetchall()
                self._place(rows, column, found)
        return found

    def write(self, answers: Answers, units: Sequence[str]) -> None:
        """Keeps `answers`. On disk when it returns."""
        with self._lock, self._translated():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                number = self._number_of(list(units))
                self._connection.executemany(
                    "INSERT OR REPLACE INTO answers VALUES (?, ?, ?)",
                    [
                        (key, number, _seal(values.astype("<f4").tobytes(), key, number))
                        for key, values in answers.items()
                    ],
                )
                self._connection.execute("COMMIT")
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            self._connection.close()

    def _prepare(self) -> None:
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")  # what was paid for is not lost
        (application,) = self._connection.execute("PRAGMA application_id").fetchone()
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        (tables,) = self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if tables and (application, version) != (APPLICATION, FORMAT):
            raise StoreCorrupt(
                f"{self._path} is no cache of this version of blackbox_am; choose another path"
            )
        self._connection.executescript(_SCHEMA)
        self._connection.execute(f"PRAGMA application_id = {APPLICATION}")
        self._connection.execute(f"PRAGMA user_version = {FORMAT}")

    def _place(
        self, rows: list[tuple[bytes, int, bytes]], column: dict[str, int], found: Answers
    ) -> None:
        places: dict[int, tuple[list[int], list[int]]] = {}
        for key, number, sealed in rows:
            data = _unseal(sealed, key, number)
            if data is None:
                log.warning("an answer in %s is damaged; it is bought again", self._path)
                continue
            if number not in places:
                known = self._addresses(number)
                pairs = [(i, column[unit]) for i, unit in enumerate(known) if unit in column]
                places[number] = ([i for i, _ in pairs], [j for _, j in pairs])
            there, here = places[number]
            found[key][here] = np.frombuffer(data, "<f4")[there]

    def _addresses(self, number: int) -> list[str]:
        if number not in self._unit_sets:
            (text,) = self._connection.execute(
                "SELECT addresses FROM unit_sets WHERE id = ?", (number,)
            ).fetchone()
            self._unit_sets[number] = json.loads(text)
        return self._unit_sets[number]

    def _number_of(self, units: list[str]) -> int:
        text = json.dumps(units)
        self._connection.execute("INSERT OR IGNORE INTO unit_sets (addresses) VALUES (?)", (text,))
        (number,) = self._connection.execute(
            "SELECT id FROM unit_sets WHERE addresses = ?", (text,)
        ).fetchone()
        return int(number)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            raise StoreError(f"the cache {self._path} cannot be used: {error}") from error
        except sqlite3.DatabaseError as error:
            raise StoreCorrupt(
                f"the cache {self._path} is damaged, or no cache ({error}); choose another path"
            ) from error


def _seal(data: bytes, key: bytes, number: int) -> bytes:
    return data + _sum(data, key, number)


def _unseal(sealed: bytes, key: bytes, number: int) -> bytes | None:
    data, seal = sealed[:-SEAL_BYTES], sealed[-SEAL_BYTES:]
    return data if seal == _sum(data, key, number) else None


def _sum(data: bytes, key: bytes, number: int) -> bytes:
    return zlib.crc32(data, zlib.crc32(key, number)).to_bytes(SEAL_BYTES, "little")
