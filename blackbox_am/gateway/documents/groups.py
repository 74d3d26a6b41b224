"""Groups of studies as JSON."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from blackbox_am.gateway.documents import words
from blackbox_am.rpc.names import GROUPS, STUDIES
from blackbox_am.v1 import group_service_pb2 as pb
from blackbox_am.v1 import study_pb2

Document = dict[str, Any]


def group(message: pb.Group, summary: Callable[[study_pb2.Study], Document]) -> Document:
    """A group with its members.

    Args:
        message: the group.
        summary: the JSON form of a member's study.
    """
    return {
        "id": message.name.removeprefix(GROUPS),
        "state": words.state(message.state),
        "labels": dict(message.labels),
        "create_time": words.time(message.create_time),
        "unfinished": message.unfinished,
        "members": [
            {"name": member.name, "study": summary(member.study)} for member in message.members
        ],
    }


def members_of(groups: list[pb.Group]) -> dict[str, str]:
    """The id of the group of each study that belongs to one."""
    return {
        member.study.name.removeprefix(STUDIES): found.name.removeprefix(GROUPS)
        for found in groups
        for member in found.members
    }


def group_of(study_id: str, groups: dict[str, str]) -> str | None:
    """The group of a study; None if it belongs to none."""
    return groups.get(study_id)
