"""Ids of studies and groups: one rule for the wire, for Python and for the command line."""

from __future__ import annotations

import re

from blackbox_am.errors import InvalidInput

_ID = re.compile(r"[a-z][a-z0-9-]*")


def check_group_id(text: str, *, field: str = "group_id") -> str:
    """Checks that `text` is a group id, and returns it.

    Raises:
        InvalidInput: saying what an id looks like.
    """
    return _checked(text, "group", 31, field)


def check_study_id(text: str, *, field: str = "study_id") -> str:
    """Checks that `text` is a study id, and returns it.

    Raises:
        InvalidInput: saying what an id looks like.
    """
    return _checked(text, "study", 62, field)


def _checked(text: str, kind: str, more: int, field: str) -> str:
    if _ID.fullmatch(text) is None or len(text) > 1 + more:
        raise InvalidInput(
            f"{text[:80]!r} is not a {kind} id; expected a small letter, then up to {more} small "
            f"letters, digits and hyphens, such as 'my-{kind}-1'",
            field=field,
        )
    return text
