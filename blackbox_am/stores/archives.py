"""A portable file of studies: a zip with a manifest, the rows of each study as lines of JSON, and
large values as they are.

    manifest.json          format, schema version, and the SHA-256 of every other file
    studies/ID.jsonl       {"table": ..., "row": {...}} for each row of a study, its journal first
    groups/ID.jsonl        the same for a group of studies
    artifacts/DIGEST       a large value

Binary columns are base64. They keep the checksums that the database has of them.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from blackbox_am.errors import InvalidInput, NotFound, StoreCorrupt, StoreError
from blackbox_am.stores.database import SCHEMA_VERSION, metadata

FORMAT = 1
"""The version of the file's form."""
MANIFEST = "manifest.json"
COPY_BYTES = 2**20
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError, TypeError, OSError)
"""What reading of a damaged file raises."""


@dataclass
class Writer:
    """Writes a portable file.

    Attributes:
        digests: the SHA-256 of each file in it, by name.
    """

    _archive: zipfile.ZipFile
    digests: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, pieces: Iterable[bytes]) -> None:
        """Adds a file."""
        hashed = hashlib.sha256()
        with self._archive.open(name, "w", force_zip64=True) as sink:
            for piece in pieces:
                hashed.update(piece)
                sink.write(piece)
        self.digests[name] = hashed.hexdigest()

    def finish(self) -> None:
        """Adds the manifest."""
        whole = {"format": FORMAT, "schema_version": SCHEMA_VERSION, "files": self.digests}
        self._archive.writestr(MANIFEST, json.dumps(whole, indent=1))


@contextmanager
def writing(path: Path) -> Iterator[Writer]:
    """The writer of a new portable file, which is at `path` only if the context does not fail.

    Raises:
        InvalidInput: if there is a file already.
        StoreError: if the file cannot be written.
    """
    if path.exists():
        raise InvalidInput(f"{path} exists already; name another file, or delete it first")
    part = path.with_name(path.name + ".part")
    try:
        with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
            writer = Writer(archive)
            yield writer
            writer.finish()
        with part.open("rb") as written:
            os.fsync(written.fileno())  # so that no loss of power leaves an empty file at `path`
        part.replace(path)
    except OSError as error:
        raise StoreError(
            f"cannot write {path} ({error}); check that its folder exists and can be written, and "
            "that the disk has room"
        ) from error
    finally:
        part.unlink(missing_ok=True)


class Reader:
    """Reads a portable file. Every error of its content is a `StoreCorrupt`.

    Args:
        path: the file.
        archive: the opened file.

    Attributes:
        names: the names of the files in it, except the manifest.

    Raises:
        StoreError: if another version of blackbox_am wrote the file.
    """

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self.path = path
        self._archive = archive
        manifest = json.loads(archive.read(MANIFEST))
        if (manifest["format"], manifest["schema_version"]) != (FORMAT, SCHEMA_VERSION):
            raise StoreError(
                f"{path} was written by another version of blackbox_am: it has format "
                f"{manifest['format']} of schema version {manifest['schema_version']}, and this "
                f"program reads format {FORMAT} of schema version {SCHEMA_VERSION}; export the "
                "studies with the version of this program"
            )
        self._digests = {str(name): str(digest) for name, digest in manifest["files"].items()}
        self.names = tuple(self._digests)

    def pieces(self, name: str) -> Iterator[bytes]:
        """A file in pieces. The last piece comes only if the whole file is as it was written."""
        hashed, before = hashlib.sha256(), b""
        with self._archive.open(name) as source:
            while piece := source.read(COPY_BYTES):
                hashed.update(piece)
                yield before
                before = piece
        if hashed.hexdigest() != self._digests[name]:
            raise self.damage(f"{name} has changed since it was written")
        yield before

    def lines(self, name: str) -> Iterator[bytes]:
        """The lines of a file."""
        rest = b""
        for piece in self.pieces(name):
            *whole, rest = (rest + piece).split(b"\n")
            yield from whole
        if rest:
            raise self.damage(f"{name} ends within a line")

    def damage(self, what: str) -> StoreCorrupt:
        """The error for damaged content."""
        return StoreCorrupt(
            f"{self.path} is damaged, or no export of blackbox_am: {what}; export the studies again"
        )


@contextmanager
def reading(path: Path) -> Iterator[Reader]:
    """The reader of a portable file.

    Raises:
        NotFound: if there is no such file.
        StoreCorrupt: if the file is damaged or no portable file, also later within the context.
        StoreError: if another version of blackbox_am wrote the file.
    """
    if not path.is_file():
        raise NotFound(f"there is no file {path}; name a file that `store export` wrote")
    try:
        with zipfile.ZipFile(path) as archive:
            yield Reader(path, archive)
    except _DAMAGE as error:
        what = f"{type(error).__name__}: {error}"
        raise StoreCorrupt(
            f"{path} is damaged, or no export of blackbox_am ({what}); export the studies again"
        ) from error


def line_of(table: sa.Table, row: Any) -> bytes:
    """A row of the database as a line."""
    values = {
        name: base64.b64encode(bytes(value)).decode() if _is_binary(table.c[name]) else value
        for name, value in row._mapping.items()  # noqa: SLF001  # SQLAlchemy's public name
    }
    return json.dumps({"table": table.name, "row": values}).encode() + b"\n"


def row_of(line: bytes, known: Iterable[str]) -> tuple[sa.Table, dict[str, Any]]:
    """The inverse of `line_of`.

    Raises:
        ValueError, KeyError, TypeError: for a line of another form, or of a table not in `known`.
    """
    found = json.loads(line)
    name, values = found["table"], dict(found["row"])
    if name not in known:
        raise ValueError(f"unexpected table {name!r}")
    table = metadata.tables[name]
    if values.keys() != set(table.c.keys()):
        raise ValueError(f"unexpected columns of {name}")
    for column in table.columns:
        if _is_binary(column):
            values[column.name] = base64.b64decode(values[column.name], validate=True)
    return table, values


def _is_binary(column: sa.Column[Any]) -> bool:
    return isinstance(column.type, sa.LargeBinary)
