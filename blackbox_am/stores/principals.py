"""Tokens, claims and accounts of callers in a SQL database.

The tables were added after the first stores of this schema version; `Database` creates them where
they are missing.
"""

from __future__ import annotations

from contextlib import suppress

import sqlalchemy as sa
from sqlalchemy import exc

from blackbox_am.core.principals import Claims, StoredToken, Tokens
from blackbox_am.stores.database import ADDED, Database, metadata

PRINCIPAL = sa.String(63)
_tokens = sa.Table(
    "tokens",
    metadata,
    sa.Column("token_id", sa.String(32), primary_key=True),
    sa.Column("principal", PRINCIPAL, nullable=False),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("expires_at", sa.Float),
    sa.Column("revoked_at", sa.Float),
    info=ADDED,
)
claims = sa.Table(
    "claims",
    metadata,
    sa.Column("resource", sa.String(80), primary_key=True),
    sa.Column("principal", PRINCIPAL, nullable=False, index=True),
    info=ADDED,
)
_writers = sa.Table(
    "artifact_writers",
    metadata,
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("principal", PRINCIPAL, primary_key=True),
    info=ADDED,
)
_accounts = sa.Table(
    "accounts",
    metadata,
    sa.Column("principal", PRINCIPAL, primary_key=True),
    sa.Column("rows", sa.BigInteger, nullable=False),
    info=ADDED,
)


class SQLTokens(Tokens):
    """The tokens of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, token: StoredToken) -> None:
        row = {name: getattr(token, name) for name in _tokens.c.keys()}  # noqa: SIM118  # columns
        with self._database.writing() as connection:
            connection.execute(_tokens.insert(), [row])

    def find(self, token_id: str) -> StoredToken | None:
        query = sa.select(_tokens).where(_tokens.c.token_id == token_id)
        with self._database.reading() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else StoredToken(*row)

    def known(self) -> list[StoredToken]:
        query = sa.select(_tokens).order_by(_tokens.c.principal, _tokens.c.created_at)
        with self._database.reading() as connection:
            return [StoredToken(*row) for row in connection.execute(query)]

    def exist(self) -> bool:
        with self._database.reading() as connection:
            return connection.scalar(sa.select(_tokens.c.token_id).limit(1)) is not None

    def revoke(self, name: str, now: float) -> list[str]:
        named = (_tokens.c.token_id == name) | (_tokens.c.principal == name)
        valid = named & _tokens.c.revoked_at.is_(None)
        with self._database.writing() as connection:
            found = list(connection.scalars(sa.select(_tokens.c.token_id).where(valid)))
            connection.execute(_tokens.update().where(valid).values(revoked_at=now))
        return found


class SQLClaims(Claims):
    """The claims and accounts of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def take(self, resource: str, principal: str) -> str:
        with self._database.writing() as connection:
            known = connection.scalar(_owner(resource))
            if known is not None:
                return str(known)
            row = {"resource": resource, "principal": principal}
            with suppress(exc.IntegrityError):  # another transaction was faster
                connection.execute(claims.insert(), [row])
                return principal
        return self.owner(resource)

    def release(self, resource: str, principal: str) -> None:
        mine = (claims.c.resource == resource) & (claims.c.principal == principal)
        with self._database.writing() as connection:
            connection.execute(claims.delete().where(mine))

    def owner(self, resource: str) -> str:
        with self._database.reading() as connection:
            return str(connection.scalar(_owner(resource)) or "")

    def owned(self, principal: str, kind: str) -> list[str]:
        mine = (claims.c.principal == principal) & claims.c.resource.startswith(f"{kind}/")
        query = sa.select(claims.c.resource).where(mine).order_by(claims.c.resource)
        with self._database.reading() as connection:
            return [resource.partition("/")[2] for resource in connection.scalars(query)]

    def wrote(self, digest: str, principal: str) -> None:
        row = {"digest": digest, "principal": principal}
        known = (_writers.c.digest == digest) & (_writers.c.principal == principal)
        with self._database.writing() as connection:
            if connection.scalar(sa.select(_writers.c.digest).where(known)) is None:
                with suppress(exc.IntegrityError):  # another transaction was faster
                    connection.execute(_writers.insert(), [row])

    def writers(self, digest: str) -> set[str]:
        query = sa.select(_writers.c.principal).where(_writers.c.digest == digest)
        with self._database.reading() as connection:
            return set(connection.scalars(query))

    def stored_bytes(self, principal: str) -> int:
        artifacts = metadata.tables["artifacts"]
        query = (
            sa.select(sa.func.sum(artifacts.c.size))
            .join(_writers, _writers.c.digest == artifacts.c.digest)
            .where(_writers.c.principal == principal)
        )
        with self._database.reading() as connection:
            return int(connection.scalar(query) or 0)

    def count_rows(self, principal: str, rows: int) -> int:
        mine = _accounts.c.principal == principal
        more = _accounts.update().where(mine).values(rows=_accounts.c.rows + rows)
        with self._database.writing() as connection:
            if not connection.execute(more).rowcount:
                connection.execute(_accounts.insert(), [{"principal": principal, "rows": rows}])
            return int(connection.scalar(sa.select(_accounts.c.rows).where(mine)) or 0)


def forget_claim(connection: sa.Connection, resource: str) -> None:
    """Removes the claim of a deleted study or group."""
    connection.execute(claims.delete().where(claims.c.resource == resource))


def forget_writers(connection: sa.Connection, digest: str) -> None:
    """Removes the writers of a deleted artifact."""
    connection.execute(_writers.delete().where(_writers.c.digest == digest))


def _owner(resource: str) -> sa.Select[tuple[str]]:
    return sa.select(claims.c.principal).where(claims.c.resource == resource)
