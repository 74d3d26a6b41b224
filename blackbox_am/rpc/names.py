"""Resource names: `studies/{study_id}`."""

from __future__ import annotations

import re

from blackbox_am.errors import InvalidInput

STUDIES = "studies/"
_STUDY_ID = re.compile(r"[a-z][a-z0-9-]{0,62}")


def study_name(study_id: str) -> str:
    """The name of a study."""
    return STUDIES + study_id


def study_id(name: str, *, field: str = "name") -> str:
    """The id in a study's name.

    Raises:
        InvalidInput: where `name` is no study's name.
    """
    found = name.removeprefix(STUDIES)
    if found == name:
        raise InvalidInput(
            f"{name[:80]!r} is not the name of a study; expected studies/STUDY_ID", field=field
        )
    return check_study_id(found, field=field)


def check_study_id(text: str, *, field: str = "study_id") -> str:
    """`text`, where it is a study id.

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
