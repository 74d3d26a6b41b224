"""Resource names: `studies/{study_id}` and `groups/{group_id}`."""

from __future__ import annotations

from blackbox_am.core.ids import check_group_id, check_study_id
from blackbox_am.errors import InvalidInput

STUDIES = "studies/"
GROUPS = "groups/"


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
