"""Tables for tokens, claims and accounts; folded studies are folded again from their journals."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "5"
down_revision = "4"

_PRINCIPAL = sa.String(63)
_RESOURCE = sa.String(80).with_variant(sa.String(80, collation="C"), "postgresql")


def _tables() -> dict[str, tuple[sa.Column[Any], ...]]:
    return {
        "tokens": (
            sa.Column("token_id", sa.String(32), primary_key=True),
            sa.Column("principal", _PRINCIPAL, nullable=False),
            sa.Column("role", sa.String(16), nullable=False),
            sa.Column("digest", sa.String(64), nullable=False),
            sa.Column("created_at", sa.Float, nullable=False),
            sa.Column("expires_at", sa.Float),
            sa.Column("revoked_at", sa.Float),
        ),
        "claims": (
            sa.Column("resource", _RESOURCE, primary_key=True),
            sa.Column("principal", _PRINCIPAL, nullable=False),
        ),
        "artifact_writers": (
            sa.Column("digest", sa.String(64), primary_key=True),
            sa.Column("principal", _PRINCIPAL, primary_key=True),
        ),
        "accounts": (
            sa.Column("principal", _PRINCIPAL, primary_key=True),
            sa.Column("rows", sa.BigInteger, nullable=False),
        ),
    }


def upgrade() -> None:
    """Adds the tables that later stores of version 4 had already, and removes the folded studies:
    those of an early store of version 4 lack what is read today, and they follow from the journals.
    """
    found = set(sa.inspect(op.get_bind()).get_table_names())
    for name, columns in _tables().items():
        if name not in found:
            op.create_table(name, *columns)
    op.create_index("claims_of_principal", "claims", ["principal", "resource"], if_not_exists=True)
    op.drop_index("ix_claims_principal", "claims", if_exists=True)  # of some stores of version 4
    op.execute(sa.text("DELETE FROM folded"))
