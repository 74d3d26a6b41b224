"""Tokens, claims and accounts of callers in a SQL database."""

from __future__ import annotations

import sqlalchemy as sa

from blackbox_am.core.accounts import Account, Order
from blackbox_am.core.principals import Claims, StoredToken, Tokens
from blackbox_am.stores.database import Database, metadata

STUDIES = "studies/"
"""Beginning of the resource of a study."""
PRINCIPAL = sa.String(63)
RESOURCE = sa.String(80).with_variant(sa.String(80, collation="C"), "postgresql")
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
)
claims = sa.Table(
    "claims",
    metadata,
    sa.Column("resource", RESOURCE, primary_key=True),
    sa.Column("principal", PRINCIPAL, nullable=False),
    sa.Index("claims_of_principal", "principal", "resource"),
)
_writers = sa.Table(
    "artifact_writers",
    metadata,
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("principal", PRINCIPAL, primary_key=True),
)
_accounts = sa.Table(
    "accounts",
    metadata,
    sa.Column("principal", PRINCIPAL, primary_key=True),
    sa.Column("rows", sa.BigInteger, nullable=False),
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

    def owner(self, resource: str) -> str:
        with self._database.reading() as connection:
            return owner_of(connection, resource)

    def owned(self, principal: str, kind: str) -> list[str]:
        query = sa.select(claims.c.resource).where(_owns(principal, kind))
        with self._database.reading() as connection:
            found = connection.scalars(query.order_by(claims.c.resource))
            return [resource.partition("/")[2] for resource in found]

    def count(self, principal: str, kind: str) -> int:
        with self._database.reading() as connection:
            return _count(connection, principal, kind)

    def writers(self, digest: str) -> set[str]:
        query = sa.select(_writers.c.principal).where(_writers.c.digest == digest)
        with self._database.reading() as connection:
            return set(connection.scalars(query))

    def stored_bytes(self, principal: str) -> int:
        with self._database.reading() as connection:
            return _stored_bytes(connection, principal)

    def order(self, account: Account, rows: int) -> None:
        with self._database.passing() as connection:
            _charge(connection, account, rows)

    def give_back(self, principal: str, rows: int) -> None:
        less = _accounts.update().where(_accounts.c.principal == principal)
        with self._database.passing() as connection:
            connection.execute(less.values(rows=_accounts.c.rows - rows))

    def ordered(self, principal: str) -> int:
        query = sa.select(_accounts.c.rows).where(_accounts.c.principal == principal)
        with self._database.reading() as connection:
            return int(connection.scalar(query) or 0)


def own_studies(principal: str, after: str) -> list[sa.ColumnElement[bool]]:
    """The conditions on the claims of a principal's studies with an id greater than `after`."""
    return [_owns(principal, "studies"), claims.c.resource > STUDIES + after]


def claim_study(connection: sa.Connection, study_id: str, order: Order | None) -> None:
    """Records to whom a new study belongs, and what it takes from the account.

    Raises:
        QuotaExceeded: if the account has too little left.
    """
    if order is not None:
        account = order.account
        _charge(connection, account, order.rows)
        if account.studies is not None:
            account.check_studies(_count(connection, account.principal, "studies"))
    claim(connection, STUDIES + study_id, "" if order is None else order.account.principal)


def claim(connection: sa.Connection, resource: str, principal: str) -> None:
    """Records to whom a new study or group belongs; empty for nobody."""
    forget_claim(connection, resource)
    if principal:
        connection.execute(claims.insert(), [{"resource": resource, "principal": principal}])


def claim_artifact(connection: sa.Connection, digest: str, account: Account) -> None:
    """Records that a principal wrote an artifact.

    Raises:
        QuotaExceeded: if the account has too few bytes left.
    """
    _charge(connection, account, 0)
    before = _stored_bytes(connection, account.principal)
    if add_writer(connection, digest, account.principal):
        account.check_bytes(before, _stored_bytes(connection, account.principal) - before)


def add_writer(connection: sa.Connection, digest: str, principal: str) -> bool:
    """Adds a writer of an artifact. Returns False if it was one."""
    row = {"digest": digest, "principal": principal}
    if connection.execute(sa.select(_writers).filter_by(**row)).first() is not None:
        return False
    connection.execute(_writers.insert(), [row])
    return True


def owner_of(connection: sa.Connection, resource: str) -> str:
    """The principal to whom a resource belongs; empty if nobody owns it."""
    query = sa.select(claims.c.principal).where(claims.c.resource == resource)
    return str(connection.scalar(query) or "")


def forget_claim(connection: sa.Connection, resource: str) -> None:
    """Removes the claim of a deleted study or group."""
    connection.execute(claims.delete().where(claims.c.resource == resource))


def has_writers(connection: sa.Connection, digest: str) -> bool:
    """Whether an artifact belongs to a principal."""
    query = sa.select(_writers.c.digest).where(_writers.c.digest == digest).limit(1)
    return connection.scalar(query) is not None


def forget_writers(connection: sa.Connection, digest: str, principal: str | None = None) -> None:
    """Removes the writers of a deleted artifact, or one writer."""
    forgotten = _writers.delete().where(_writers.c.digest == digest)
    if principal is not None:
        forgotten = forgotten.where(_writers.c.principal == principal)
    connection.execute(forgotten)


def _charge(connection: sa.Connection, account: Account, rows: int) -> None:
    """Adds rows to those that a principal ordered. The account stays locked until the end of the
    transaction, so that no other transaction of the same account counts meanwhile.
    """
    mine = _accounts.c.principal == account.principal
    connection.execute(_OPEN, {"principal": account.principal})
    connection.execute(_accounts.update().where(mine).values(rows=_accounts.c.rows + rows))
    total = int(connection.scalar(sa.select(_accounts.c.rows).where(mine)) or 0)
    account.check_queries(total - rows, rows)


# SQLite and PostgreSQL both accept this statement.
_OPEN = sa.text(
    'INSERT INTO accounts (principal, "rows") VALUES (:principal, 0) ON CONFLICT DO NOTHING'
)


def _owns(principal: str, kind: str) -> sa.ColumnElement[bool]:
    return (claims.c.principal == principal) & claims.c.resource.startswith(f"{kind}/")


def _count(connection: sa.Connection, principal: str, kind: str) -> int:
    query = sa.select(sa.func.count()).select_from(claims).where(_owns(principal, kind))
    return int(connection.scalar(query) or 0)


def _stored_bytes(connection: sa.Connection, principal: str) -> int:
    artifacts = metadata.tables["artifacts"]
    query = (
        sa.select(sa.func.sum(artifacts.c.size))
        .join(_writers, _writers.c.digest == artifacts.c.digest)
        .where(_writers.c.principal == principal)
    )
    return int(connection.scalar(query) or 0)
