"""Large values in a SQL database: each value is stored once, in pieces, under the digest of its
content.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Iterator

import sqlalchemy as sa

from blackbox_am.core.accounts import Account
from blackbox_am.core.artifacts import Artifacts
from blackbox_am.errors import InvalidInput, NotFound, StoreCorrupt
from blackbox_am.stores.database import STUDY_ID, Database, metadata, seal, unseal
from blackbox_am.stores.principals import (
    STUDIES,
    add_writer,
    claim_artifact,
    claims,
    forget_writers,
    has_writers,
    owner_of,
)

PIECE_BYTES = 2**20
"""SQLite refuses values of 10^9 bytes, and readers may need only a part of a value."""

PIECES_AT_ONCE = 16
"""Pieces in memory at once while a whole value is read."""

DIGEST = sa.String(64)
_artifacts = sa.Table(
    "artifacts",
    metadata,
    sa.Column("digest", DIGEST, primary_key=True),
    sa.Column("size", sa.BigInteger, nullable=False),
    # Of the last write; negative after a study has referred to the value.
    sa.Column("time", sa.Float, nullable=False),
)
_pieces = sa.Table(
    "artifact_pieces",
    metadata,
    sa.Column("digest", DIGEST, primary_key=True),
    sa.Column("place", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
)
_references = sa.Table(
    "artifact_references",
    metadata,
    sa.Column("study", STUDY_ID, primary_key=True),
    sa.Column("name", sa.String(255), primary_key=True),
    sa.Column("digest", DIGEST, nullable=False, index=True),
)


class SQLArtifacts(Artifacts):
    """The artifacts of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, pieces: bytes | Iterable[bytes], account: Account | None = None) -> str:
        whole = (pieces,) if isinstance(pieces, bytes) else pieces
        with self._database.writing() as connection:
            digest = put_artifact(connection, whole, self._database.now)
            if account is not None:
                claim_artifact(connection, digest, account)
        return digest

    def size(self, digest: str) -> int:
        with self._database.reading() as connection:
            return _size(connection, digest)

    def get(self, digest: str, offset: int = 0, limit: int | None = None) -> bytes:
        with self._database.reading() as connection:
            size = _size(connection, digest)
            if offset < 0 or offset > size or (limit is not None and limit < 0):
                raise InvalidInput(
                    f"an artifact of {size} bytes can be read from offset 0 to {size}, and a limit "
                    f"is 0 or more; got offset {offset} and limit {limit}",
                    field="offset",
                )
            end = size if limit is None else min(offset + limit, size)
            if offset == end:
                return b""
            first, last = offset // PIECE_BYTES, (end - 1) // PIECE_BYTES
            query = (
                sa.select(_pieces.c.place, _pieces.c.body)
                .where(_pieces.c.digest == digest, _pieces.c.place.between(first, last))
                .order_by(_pieces.c.place)
            )
            rows = connection.execute(query).all()
        if [row.place for row in rows] != list(range(first, last + 1)):
            raise StoreCorrupt(f"artifact {digest} is not whole; send it to the store again")
        what = f"artifact {digest}"
        whole = b"".join(unseal(row.body, what, digest, row.place) for row in rows)
        start = offset - first * PIECE_BYTES
        return whole[start : start + end - offset]

    def refer(self, study_id: str, name: str, digest: str) -> None:
        with self._database.writing() as connection:
            refer(connection, study_id, name, digest)

    def of_study(self, study_id: str) -> dict[str, str]:
        query = sa.select(_references.c.name, _references.c.digest).where(
            _references.c.study == study_id
        )
        with self._database.reading() as connection:
            return {row.name: row.digest for row in connection.execute(query)}

    def collect(self, seconds: float = 86_400.0) -> int:
        with self._database.writing() as connection:
            old = sa.func.abs(_artifacts.c.time) <= self._database.now - seconds
            used = sa.exists().where(_references.c.digest == _artifacts.c.digest)
            query = sa.select(_artifacts.c.digest).where(old, ~used)
            digests = list(connection.scalars(query))
            return _remove_unreferenced(connection, digests)


def put_artifact(
    connection: sa.Connection, pieces: Iterable[bytes], now: sa.ColumnElement[float]
) -> str:
    """Stores a value. Returns its digest.

    Args:
        connection: a connection in a transaction that writes.
        pieces: the pieces of the value, in order.
        now: the database's clock.
    """
    # The digest is known only after the last piece. Until then the pieces are stored under a
    # temporary name, which is not a digest, so no reader finds them.
    part = f"part-{secrets.token_hex(16)}"
    digest, size = _write_pieces(connection, part, pieces)
    here = _artifacts.c.digest == digest
    if connection.execute(_artifacts.update().where(here).values(time=now)).rowcount:
        connection.execute(_pieces.delete().where(_pieces.c.digest == part))
    else:
        _name(connection, part, digest)
        connection.execute(_artifacts.insert().values(digest=digest, size=size, time=now))
    return digest


def stored_pieces(connection: sa.Connection, digest: str) -> Iterator[bytes]:
    """The pieces of a stored value, in order.

    Raises:
        StoreCorrupt: if a piece is damaged.
    """
    query = sa.select(_pieces).where(_pieces.c.digest == digest).order_by(_pieces.c.place)
    for row in connection.execute(query.execution_options(yield_per=PIECES_AT_ONCE)):
        yield unseal(row.body, f"artifact {digest}", digest, row.place)


def _name(connection: sa.Connection, part: str, digest: str) -> None:
    """Gives the pieces of a value their name, and a checksum of their place."""
    places = connection.scalars(sa.select(_pieces.c.place).where(_pieces.c.digest == part))
    for place in list(places):
        here = (_pieces.c.digest == part) & (_pieces.c.place == place)
        body = bytes(connection.scalar(sa.select(_pieces.c.body).where(here)) or b"")
        new = {"digest": digest, "body": seal(body, digest, place)}
        connection.execute(_pieces.update().where(here).values(new))


def refer(connection: sa.Connection, study_id: str, name: str, digest: str) -> None:
    """Adds a reference, or replaces it.

    Raises:
        NotFound: if the store does not have the value.
    """
    _size(connection, digest)
    mine = (_references.c.study == study_id) & (_references.c.name == name)
    connection.execute(_references.delete().where(mine))
    row = {"study": study_id, "name": name, "digest": digest}
    connection.execute(_references.insert(), [row])
    _mark_referred(connection, digest)


def own_references(connection: sa.Connection, study_id: str) -> None:
    """Makes the values to which an imported study refers those of its owner."""
    owner = owner_of(connection, STUDIES + study_id)
    query = sa.select(_references.c.digest).where(_references.c.study == study_id)
    for digest in list(connection.scalars(query)):
        _mark_referred(connection, digest)
        if owner:
            add_writer(connection, digest, owner)


def _mark_referred(connection: sa.Connection, digest: str) -> None:
    referred = _artifacts.update().where(_artifacts.c.digest == digest)
    connection.execute(referred.values(time=-sa.func.abs(_artifacts.c.time)))


def _size(connection: sa.Connection, digest: str) -> int:
    query = sa.select(_artifacts.c.size).where(_artifacts.c.digest == digest)
    size = connection.scalar(query)
    if size is None:
        raise NotFound(
            f"the store has no artifact {digest[:80]!r}; write the artifact first", field="digest"
        )
    return int(size)


def forget_references(connection: sa.Connection, study_id: str) -> None:
    """Removes a study's references. The study's owner loses the values to which no other of its
    studies refers; values without a reference and without a writer are removed, but not those that
    were written again after the last reference, because another study may soon refer to them.
    """
    mine = _references.c.study == study_id
    digests = list(connection.scalars(sa.select(_references.c.digest).where(mine)))
    connection.execute(_references.delete().where(mine))
    owner = owner_of(connection, STUDIES + study_id)
    for digest in digests:
        if owner and not _refers(connection, owner, digest):
            forget_writers(connection, digest, owner)
        awaited = sa.select(_artifacts.c.time > 0).where(_artifacts.c.digest == digest)
        if not has_writers(connection, digest) and not connection.scalar(awaited):
            _remove_unreferenced(connection, [digest])


def _refers(connection: sa.Connection, principal: str, digest: str) -> bool:
    """Whether a study of a principal refers to a value."""
    study = claims.c.resource == sa.literal(STUDIES) + _references.c.study
    query = (
        sa.select(_references.c.digest)
        .join(claims, study)
        .where(_references.c.digest == digest, claims.c.principal == principal)
    )
    return connection.scalar(query.limit(1)) is not None


def _remove_unreferenced(connection: sa.Connection, digests: list[str]) -> int:
    removed = 0
    for digest in digests:
        used = sa.select(_references.c.digest).where(_references.c.digest == digest).limit(1)
        if connection.scalar(used) is None:
            for table in (_pieces, _artifacts):
                connection.execute(table.delete().where(table.c.digest == digest))
            forget_writers(connection, digest)
            removed += 1
    return removed


def _write_pieces(connection: sa.Connection, part: str, pieces: Iterable[bytes]) -> tuple[str, int]:
    """Writes a value under a temporary name. Returns its digest and its size."""
    size, hashed = 0, hashlib.sha256()
    for place, piece in enumerate(_of_one_size(pieces)):
        hashed.update(piece)
        size += len(piece)
        row = {"digest": part, "place": place, "body": piece}
        connection.execute(_pieces.insert(), [row])
    return hashed.hexdigest(), size


def _of_one_size(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces of `PIECE_BYTES`; the last may be shorter."""
    buffer = bytearray()
    for piece in pieces:
        buffer += piece
        while len(buffer) >= PIECE_BYTES:
            yield bytes(buffer[:PIECE_BYTES])
            del buffer[:PIECE_BYTES]
    if buffer:
        yield bytes(buffer)
