"""Leases on studies, and calls between the processes that share the database."""

from __future__ import annotations

import secrets
from collections.abc import Collection

import sqlalchemy as sa

from blackbox_am.core.leases import Answer, Call, Calls, Lease, Leases
from blackbox_am.errors import NotOwner
from blackbox_am.stores.database import STUDY_ID, Database, meta, metadata
from blackbox_am.stores.index import indexed

OLD_CALL_SECONDS = 600.0
"""In seconds. The caller of an older call has ended without withdrawing the call."""

leases = sa.Table(
    "leases",
    metadata,
    sa.Column("study", STUDY_ID, primary_key=True),
    sa.Column("owner", sa.String(64), nullable=False, index=True),
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("token", sa.BigInteger, nullable=False),
    sa.Column("expires", sa.Float, nullable=False),
    sa.Column("held", sa.LargeBinary, nullable=False),
)
_calls = sa.Table(
    "calls",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("study", STUDY_ID, nullable=False),
    sa.Column("method", sa.String(63), nullable=False),
    sa.Column("request", sa.LargeBinary, nullable=False),
    sa.Column("time", sa.Float, nullable=False),
    sa.Column("response", sa.LargeBinary),
    sa.Column("error", sa.LargeBinary),
)


class SQLLeases(Leases):
    """The leases of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def take(self, study_id: str, owner: str, name: str, seconds: float) -> Lease:
        mine = leases.c.study == study_id
        query = sa.select(leases, (leases.c.expires - self._database.now).label("left")).where(mine)
        expires = self._database.now + seconds
        with self._database.writing() as connection:  # so no token is given twice
            row = connection.execute(query).one_or_none()
            if row is not None and row.left > 0:
                if row.owner != owner:
                    raise NotOwner(_held(study_id, row.name), retry_after=row.left)
                connection.execute(leases.update().where(mine).values(expires=expires))
                return Lease(study_id, owner, row.token, bytes(row.held))
            held = b"" if row is None else bytes(row.held)
            connection.execute(meta.update().values(last_token=meta.c.last_token + 1))
            token = connection.scalar(sa.select(meta.c.last_token)) or 0
            connection.execute(leases.delete().where(mine))
            new = {"study": study_id, "owner": owner, "name": name[:255], "token": token}
            connection.execute(leases.insert().values(**new, expires=expires, held=b""))
        return Lease(study_id, owner, token, held)

    def renew(self, owner: str, seconds: float) -> dict[str, int]:
        renewed = (
            leases.update()
            .where(leases.c.owner == owner)
            .values(expires=self._database.now + seconds)
            .returning(leases.c.study, leases.c.token)
        )
        with self._database.unordered() as connection:  # a long transaction would cost the leases
            return {row.study: row.token for row in connection.execute(renewed)}

    def release(self, lease: Lease, held: bytes = b"") -> None:
        mine = (leases.c.study == lease.study_id) & (leases.c.token == lease.token)
        with self._database.passing() as connection:
            connection.execute(
                leases.update().where(mine).values(owner="", name="", expires=0.0, held=held)
            )

    def owner_name(self, study_id: str) -> str:
        query = sa.select(leases.c.name).where(
            leases.c.study == study_id, leases.c.expires > self._database.now
        )
        with self._database.reading() as connection:
            return str(connection.scalar(query) or "")

    def free(self, states: Collection[str]) -> list[str]:
        held = sa.select(leases.c.study).where(leases.c.expires > self._database.now)
        query = (
            sa.select(indexed.c.study)
            .where(indexed.c.state.in_(list(states)), indexed.c.oracle != "")
            .where(indexed.c.study.not_in(held))
            .order_by(indexed.c.created_at, indexed.c.study)
        )
        with self._database.reading() as connection:
            return list(connection.scalars(query))


class SQLCalls(Calls):
    """The waiting calls of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def ask(self, study_id: str, method: str, request: bytes) -> str:
        call_id, now = secrets.token_hex(16), self._database.now
        row = {"id": call_id, "study": study_id, "method": method, "request": request}
        with self._database.passing() as connection:
            old = _calls.c.time < now - OLD_CALL_SECONDS
            connection.execute(_calls.delete().where(old))
            connection.execute(_calls.insert().values(**row, time=now))
        return call_id

    def waiting(self, owner: str) -> list[Call]:
        query = (
            sa.select(_calls)
            .join(leases, leases.c.study == _calls.c.study)
            .where(leases.c.owner == owner, _calls.c.response.is_(None))
            .order_by(_calls.c.time)
        )
        with self._database.reading() as connection:
            return [
                Call(row.id, row.study, row.method, bytes(row.request))
                for row in connection.execute(query)
            ]

    def answer(self, call_id: str, answer: Answer) -> None:
        values = {"response": answer.response, "error": answer.error}
        with self._database.passing() as connection:
            connection.execute(_calls.update().where(_calls.c.id == call_id).values(values))

    def answered(self, call_id: str) -> Answer | None:
        query = sa.select(_calls.c.response, _calls.c.error).where(_calls.c.id == call_id)
        with self._database.reading() as connection:
            row = connection.execute(query).one_or_none()
        if row is None or row.response is None:
            return None
        self.forget(call_id)
        return Answer(bytes(row.response), bytes(row.error))

    def forget(self, call_id: str) -> None:
        with self._database.passing() as connection:
            connection.execute(_calls.delete().where(_calls.c.id == call_id))


def check_holder(connection: sa.Connection, study_id: str, token: int | None, now: object) -> None:
    """Raises an error if the caller may not write to the study.

    Args:
        connection: a connection in the writing transaction.
        study_id: the study.
        token: of the caller's lease; None if the caller has no lease.
        now: the database's clock.

    Raises:
        NotOwner: if another process holds the lease, or if the lease was released.
    """
    query = sa.select(leases.c.token, leases.c.name).where(leases.c.study == study_id)
    if token is None:
        query = query.where(leases.c.expires > now)
    row = connection.execute(query).one_or_none()
    if token is None and row is not None:
        raise NotOwner(_held(study_id, row.name))
    if token is not None and (row is None or row.token != token or not row.name):
        raise NotOwner(
            f"this process no longer runs study {study_id!r}"
            + (f": {row.name} does" if row is not None and row.name else "")
            + "; send the request again"
        )


def forget_lease(connection: sa.Connection, study_id: str) -> None:
    """Removes a study's lease and the waiting calls for its owner."""
    connection.execute(leases.delete().where(leases.c.study == study_id))


def _held(study_id: str, name: str) -> str:
    return (
        f"study {study_id!r} is run by {name}; send the request there, or again once that "
        "process has ended"
    )
