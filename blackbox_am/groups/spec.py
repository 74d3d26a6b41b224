"""The request of a caller for a group of studies, each with a name in the group."""

from __future__ import annotations

import re

import msgspec

from blackbox_am.core.spec import StudySpec

MAX_MEMBERS = 1000
_NAME = re.compile(r"[a-z0-9-]{1,30}")


class MemberSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One study of a group.

    Attributes:
        name: 1 to 30 small letters, digits and hyphens, different from the other members'.
        spec: the study.
    """

    name: str
    spec: StudySpec

    def __post_init__(self) -> None:
        if _NAME.fullmatch(self.name) is None:
            raise ValueError(
                f"name: expected 1 to 30 small letters, digits and hyphens, got {self.name[:80]!r}"
            )


class GroupSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A group of studies.

    Attributes:
        members: its studies, 1 to 1,000.
        labels: free key-value pairs for the caller.
    """

    members: tuple[MemberSpec, ...]
    labels: dict[str, str] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        names = [member.name for member in self.members]
        if not 1 <= len(names) <= MAX_MEMBERS:
            raise ValueError(f"members: expected 1 to {MAX_MEMBERS} studies, got {len(names)}")
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"members: the name {twice[0]!r} is given to more than one study")


def member_id(group_id: str, name: str) -> str:
    """The id of a member's study: at most 63 characters, as any study's."""
    return f"{group_id}-{name}"
