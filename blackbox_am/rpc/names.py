"""Resource names: `studies/{study_id}` and `groups/{group_id}`."""

from __future__ import annotations

import re

from blackbox_am.errors import InvalidInput

STUDIES = "studies/"
GROUPS = "groups/"
_GROUP_ID = re.compile(r"[a-z][a-z0-9-]{0,31}")
_STUDY_ID = re.compile(r"[a-z][a-z0-9-]{0,62}")


def study_name(study_id: str) -> str:
    """The name of a study."""
    return STUDIES + study_id


def study_id(name: str, *, field: str = "name") -> str:
    """The id in a study's name.

    Raises:
        InvalidInput: if `name` is not the name of a study.
    """
    found = name.removeprefix(STUDIES)
    if found == name:
        raise InvalidInput(
            f"{name[:80]!r} is not the name of a study; expected studies/STUDY_ID", field=field
        )
    return check_study_id(found, field=field)


def group_name(group_id: str) -> str:
    """The name of a group."""
    return GROUPS + group_id


def group_id(name: str) -> str:
    """The id in a group's name.

    Raises:
        InvalidInput: if `name` is not the name of a group.
    """
    found = name.removeprefix(GROUPS)
    if found == name:
        raise InvalidInput(
            f"{name[:80]!r} is not the name of a group; expected groups/GROUP_ID", field="name"
        )
    return check_group_id(found, field="name")


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
