"""A table for the journals of groups of studies."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "4"
down_revision = None  # the oldest stores that are migrated have version 3

_GROUP_ID = sa.String(63).with_variant(sa.String(63, collation="C"), "postgresql")


def upgrade() -> None:
    """Adds the table `group_events`."""
    op.create_table(
        "group_events",
        sa.Column("group_id", _GROUP_ID, primary_key=True),
        sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("time", sa.Float, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
