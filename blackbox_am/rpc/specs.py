"""Specifications on the wire.

Received specifications are checked by `core.spec.from_plain`, the only place that checks types and
ranges.
"""

from __future__ import annotations

from blackbox_am.core.spec import (
    MAX_TARGETS,
    Budget,
    StudySpec,
    check_count,
    from_plain,
    to_plain,
)
from blackbox_am.rpc.mapping import from_message, plain_of, to_message
from blackbox_am.v1 import study_pb2 as pb


def study_to_proto(spec: StudySpec) -> pb.StudySpec:
    """A study's specification as a message.

    Raises:
        InvalidSpec: for a parameter that the wire cannot carry.
    """
    return to_message(spec, pb.StudySpec())


def study_from_proto(message: pb.StudySpec) -> StudySpec:
    """The specification in `message`.

    Raises:
        InvalidSpec: with the path of the wrong field.
    """
    if len(message.targets) > MAX_TARGETS:
        check_count(len(message.targets))  # before each is read
    return from_message(message, StudySpec)


def extended_from_proto(message: pb.Budget, current: Budget) -> Budget:
    """`current`, with the fields that `message` sets.

    Raises:
        InvalidSpec: with the path of the wrong field.
    """
    news = plain_of(message, Budget)
    if not message.queries_per_target:
        del news["queries_per_target"]
    return from_plain(Budget, {**to_plain(current), **news})
