"""Migrations of stores of older schema versions.

Each file in `versions` leads a store from the schema version before to its own, whose number is its
name. A store says its version itself, in its table `blackbox_am`, so that older programs refuse a
newer store; alembic orders the scripts and changes the tables.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sqlalchemy as sa

OLDEST = 3
"""The oldest schema version that can be migrated. The journals of earlier versions have events that
no later program reads; no release wrote them.
"""
_FOLDER = Path(__file__).parent


def steps(version: int) -> list[str]:
    """What migrates a store of a version, in order; each step on one line.

    Args:
        version: the store's schema version, `OLDEST` or later.
    """
    return [f"to version {one.revision}: {_summary(one)}" for one in _scripts(version)]


def upgrade(connection: sa.Connection, version: int) -> None:
    """Migrates a store to the present version, within the caller's transaction. Its version is
    changed by the caller.

    Args:
        connection: a connection in a transaction that writes.
        version: the store's schema version, `OLDEST` or later.
    """
    from alembic.operations import Operations
    from alembic.runtime.migration import MigrationContext

    with Operations.context(MigrationContext.configure(connection)):
        for script in _scripts(version):
            script.module.upgrade()


def _scripts(version: int) -> list[Any]:
    """The scripts that follow a version, in order."""
    from alembic.script import ScriptDirectory

    last = "base" if version == OLDEST else str(version)
    found = ScriptDirectory(str(_FOLDER)).iterate_revisions("head", last)
    return list(found)[::-1]


def _summary(script: Any) -> str:
    return " ".join(str(script.doc).split()).rstrip(".")
