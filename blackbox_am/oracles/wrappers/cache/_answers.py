"""Answers on disk: activations by stimulus and unit.

Written on SQLite and not on `diskcache`, which has no claims between processes and no checksum
that finds a changed answer.
"""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import time
import uuid
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blackbox_am.core.tensors import to_bytes
from blackbox_am.oracles.wrappers._shared_file import SharedFile

log = logging.getLogger(__name__)

APPLICATION = 0x62626163  # "bbac"
VERSION = 1
SEAL_BYTES = 4
AT_ONCE = 500
"""Keys in one query: older SQLites take 999 parameters at most."""

Answers = dict[bytes, NDArray[np.floating[Any]]]
"""(U,) activations by the key of the stimulus: float64 if an activation was written in float64,
else float32.
"""

_UNIT_SETS = """CREATE TABLE IF NOT EXISTS unit_sets (
    id INTEGER PRIMARY KEY, addresses TEXT NOT NULL UNIQUE
)"""
_ANSWERS = """CREATE TABLE IF NOT EXISTS answers (
    stimulus BLOB NOT NULL, units INTEGER NOT NULL, activations BLOB NOT NULL,
    PRIMARY KEY (stimulus, units)
) WITHOUT ROWID"""

_CLAIMS = """CREATE TABLE IF NOT EXISTS claims (
    stimulus BLOB PRIMARY KEY, owner TEXT NOT NULL, until REAL NOT NULL
) WITHOUT ROWID"""
CLAIM_SECONDS = 600.0
"""A claim older than this is ignored, even if its owner still runs."""


class AnswerBook:
    """Activations by stimulus and unit. Safe to use from any thread, and in many processes.

    Activations that were measured together are one value with a checksum over the value and its
    key: an answer that is damaged on the disk is measured again. A process that is about to measure
    an answer claims it first, so that no other process measures it too; claims of a process that
    has died do not count.

    Args:
        path: of the file, or `:memory:`.

    Raises:
        StoreError: if the file cannot be opened.
        StoreCorrupt: if the file belongs to another program.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._unit_sets: dict[int, list[str]] = {}
        self._owner = f"{os.getpid()}-{uuid.uuid4().hex}"
        schema = (_UNIT_SETS, _ANSWERS, _CLAIMS)
        self._file = SharedFile(path, "cache", APPLICATION, VERSION, schema)

    def read(self, stimuli: Sequence[bytes], units: Sequence[str]) -> Answers:
        """(len(units),) for each of `stimuli`, nan for unknown activations."""
        column = {unit: place for place, unit in enumerate(units)}
        found: Answers = {key: np.full(len(units), np.nan, np.float32) for key in stimuli}
        keys = list(found)
        with self._file.reading() as connection:
            for start in range(0, len(keys), AT_ONCE):
                piece = keys[start : start + AT_ONCE]
                marks = ",".join("?" * len(piece))
                query = f"SELECT * FROM answers WHERE stimulus IN ({marks})"  # noqa: S608  # marks
                self._place(connection, connection.execute(query, piece), column, found)
        return found

    def write(self, answers: Answers, units: Sequence[str]) -> None:
        """Keeps `answers`, (len(units),) float32 or float64 each. On disk when it returns."""
        with self._file.writing() as connection:
            number = _number_of(connection, units)
            connection.executemany(
                "INSERT OR REPLACE INTO answers VALUES (?, ?, ?)",
                [
                    (key, number, _seal(to_bytes(values), key, number))
                    for key, values in answers.items()
                ],
            )

    def claim(self, stimuli: Sequence[bytes]) -> list[bytes]:
        """Claims `stimuli`; returns those that this process is to measure now."""
        now = time.time()
        with self._file.writing() as connection:
            query = "SELECT owner, until FROM claims WHERE stimulus = ?"
            ours = []
            for key in stimuli:
                found = connection.execute(query, (key,)).fetchone()
                if found is None or found[1] < now or not _alive(found[0]):
                    ours.append(key)
            connection.executemany(
                "INSERT OR REPLACE INTO claims VALUES (?, ?, ?)",
                [(key, self._owner, now + CLAIM_SECONDS) for key in ours],
            )
        return ours

    def release(self, stimuli: Sequence[bytes]) -> None:
        """Releases claims, after the answers were written or could not be measured."""
        with self._file.writing() as connection:
            connection.executemany(
                "DELETE FROM claims WHERE stimulus = ? AND owner = ?",
                [(key, self._owner) for key in stimuli],
            )

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def _place(
        self,
        connection: sqlite3.Connection,
        rows: sqlite3.Cursor,
        column: dict[str, int],
        found: Answers,
    ) -> None:
        """Copies the activations in `rows` of the units in `column` to their places in `found`."""
        places: dict[int, tuple[list[int], list[int], int]] = {}
        for key, number, sealed in rows.fetchall():
            data = _unseal(sealed, key, number)
            if data is None:
                log.warning("an answer in %s is damaged; it is measured again", self._path)
                continue
            if number not in places:
                known = self._addresses(connection, number)
                pairs = [(i, column[unit]) for i, unit in enumerate(known) if unit in column]
                places[number] = ([i for i, _ in pairs], [j for _, j in pairs], len(known))
            there, here, width = places[number]
            values = np.frombuffer(data, f"<f{len(data) // width}")[there]
            found[key] = found[key].astype(np.promote_types(found[key].dtype, values.dtype))
            found[key][here] = values

    def _addresses(self, connection: sqlite3.Connection, number: int) -> list[str]:
        if number not in self._unit_sets:
            (text,) = connection.execute(
                "SELECT addresses FROM unit_sets WHERE id = ?", (number,)
            ).fetchone()
            self._unit_sets[number] = json.loads(text)
        return self._unit_sets[number]


def _alive(owner: str) -> bool:
    """Whether the owner's process runs. Processes that share the SQLite file run on this
    machine.
    """
    if os.name != "posix":
        return True  # signal 0 does not test a process there
    try:
        os.kill(int(owner.partition("-")[0]), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # it runs, as another user
    return True


def _number_of(connection: sqlite3.Connection, units: Sequence[str]) -> int:
    text = json.dumps(list(units))
    connection.execute("INSERT OR IGNORE INTO unit_sets (addresses) VALUES (?)", (text,))
    (number,) = connection.execute(
        "SELECT id FROM unit_sets WHERE addresses = ?", (text,)
    ).fetchone()
    return int(number)


def _seal(data: bytes, key: bytes, number: int) -> bytes:
    return data + _sum(data, key, number)


def _unseal(sealed: bytes, key: bytes, number: int) -> bytes | None:
    data, seal = sealed[:-SEAL_BYTES], sealed[-SEAL_BYTES:]
    return data if seal == _sum(data, key, number) else None


def _sum(data: bytes, key: bytes, number: int) -> bytes:
    return zlib.crc32(data, zlib.crc32(key, number)).to_bytes(SEAL_BYTES, "little")
