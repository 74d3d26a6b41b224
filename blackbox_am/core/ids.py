"""Ids of studies and groups: one rule for the wire, for Python and for the command line."""

from __future__ import annotations

import re

from blackbox_am.errors import InvalidInput

_GROUP_ID = re.compile(r"[a-z][a-z0-9-]{0,31}")
_STUDY_ID = re.compile(r"[a-z][a-z0-9-]{0,62}")


def check_group_id(text: str, *, field: str = "group_id") -> str:
    """Checks that `text` is a group id, and returns it.

    Raises:
        InvalidInput: saying what an id looks like.
    """
    if _GROUP_ID.fullmatch(text) is None:
        raise InvalidInput(
            f"{text[:80]!r} is not a group id; expected a small letter, then up to 31 small "
            "letters, digits and hyphens, such as 'my-group-1'",
            field=field,
        )
    return text


def check_study_id(text: str, *, field: str = "study_id") -> str:
    """Checks that `text` is a study id, and returns it.

    Raises:
        InvalidInput: saying what an id looks like.
    """
    if _STUDY_ID.fullmatch(text) is None:
        raise InvalidInput(
            f"{text[:80]!r} is not a study id; expected a small letter, then up to 62 small "
            "letters, digits and hyphens, such as 'my-study-1'",
            field=field,
        )
    return text
