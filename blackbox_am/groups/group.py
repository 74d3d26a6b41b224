"""A group: a pure state machine. Its journal contains the requests and their completion.

A request is applied to the members one after another, and each step can be repeated without harm.
If a process ends in between, the next process that reads the journal applies the whole request
again.

A later request replaces an unfinished one. Only an unfinished creation stays, until the group is
cancelled or deleted, because a paused group can still get its missing members.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from blackbox_am.core.groups import GroupRecord
from blackbox_am.core.types import StudyState
from blackbox_am.errors import StoreCorrupt
from blackbox_am.groups.spec import GroupSpec

Action = Literal["create", "pause", "resume", "cancel", "extend", "delete"]


class Created(msgspec.Struct, frozen=True, tag="created"):
    """The creation of the group was requested; it is complete when `Done` follows."""

    spec: GroupSpec


class Asked(msgspec.Struct, frozen=True, tag="asked"):
    """An action on the members was requested.

    Attributes:
        action: the action, such as `extend`.
        budget: for `extend`: limits to set, by name.
    """

    action: Action
    budget: dict[str, float | int] = msgspec.field(default_factory=dict)


class Done(msgspec.Struct, frozen=True, tag="done", omit_defaults=True):
    """A request has been applied to all members.

    Attributes:
        action: the finished action; empty for everything that was unfinished.
        place: the number of the event that requested the action; 0 for each request of this action.
    """

    action: str = ""
    place: int = 0


Event = Created | Asked | Done

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Event] = msgspec.msgpack.Decoder(Event)


@dataclass(frozen=True)
class Group:
    """The state that follows from a group's journal.

    Attributes:
        spec: its members.
        created_at: time of the request, in seconds since the epoch.
        sequence: of its last event.
        pending: the actions that are not yet applied to all members, in order.
        places: the number of the event that requested each of `pending`.
        steered: what was last requested of pausing, resuming and cancelling, which applies to late
            members too; empty for nothing.
    """

    spec: GroupSpec
    created_at: float
    sequence: int
    pending: tuple[Asked, ...]
    places: tuple[int, ...] = ()
    steered: Literal["", "pause", "resume", "cancel"] = ""

    @property
    def unfinished(self) -> Asked | None:
        """The first action that is not yet applied to all members; None if there is none."""
        return self.pending[0] if self.pending else None


def fold(records: Iterable[GroupRecord]) -> Group:
    """The group that follows from a whole journal.

    Raises:
        StoreCorrupt: if the journal cannot be read.
    """
    spec: GroupSpec | None = None
    created_at, sequence = 0.0, 0
    steered: Literal["", "pause", "resume", "cancel"] = ""
    pending: dict[int, Asked] = {}
    for record in records:
        sequence += 1
        match _decode(record.body):
            case Created() as event:
                spec, created_at, pending = event.spec, record.time, {1: Asked("create")}
            case Asked() as event:
                pending = {**_kept(pending, event), sequence: event}
                if event.action in ("pause", "resume", "cancel"):
                    steered = event.action
            case Done() as done:
                pending = {at: one for at, one in pending.items() if not _ends(done, at, one)}
    if spec is None:
        raise StoreCorrupt("the journal of a group has no beginning; restore it from a backup")
    return Group(spec, created_at, sequence, tuple(pending.values()), tuple(pending), steered)


def _kept(pending: dict[int, Asked], event: Asked) -> dict[int, Asked]:
    """The unfinished actions that stay after a request."""
    if event.action in ("cancel", "delete"):
        return {}
    return {place: one for place, one in pending.items() if one.action == "create"}


def _ends(done: Done, place: int, asked: Asked) -> bool:
    """Whether `done` completes the request at `place`."""
    return done.place == place if done.place else done.action in ("", asked.action)


def encode(event: Event) -> bytes:
    """An event as bytes."""
    return _encoder.encode(event)


def _decode(body: bytes) -> Event:
    try:
        return _decoder.decode(body)
    except (msgspec.MsgspecError, ValueError) as error:
        raise StoreCorrupt(
            f"the journal of a group holds an event that cannot be read ({error}); restore the "
            "store from a backup"
        ) from error


def state_of(members: Sequence[StudyState]) -> StudyState:
    """The state of a group, from those of its members.

    PENDING before a member has begun, then RUNNING; PAUSED if all members that have not ended are
    paused. After all members have ended, the first of FAILED, CANCELLED and SUCCEEDED that occurs
    among the members; UNKNOWN if a newer server says none of these.
    """
    going = {state for state in members if state.active}
    if not going:
        ends = (StudyState.FAILED, StudyState.CANCELLED, StudyState.SUCCEEDED)
        return next((state for state in ends if state in members), StudyState.UNKNOWN)
    if going == {StudyState.PAUSED}:
        return StudyState.PAUSED
    if set(members) == {StudyState.PENDING}:
        return StudyState.PENDING
    return StudyState.RUNNING


def wants(action: Action, state: StudyState) -> bool:
    """Whether `action` applies to a member in `state`."""
    match action:
        case "pause":
            return state in (StudyState.PENDING, StudyState.RUNNING)
        case "resume":
            return state in (StudyState.PAUSED, StudyState.FAILED)
        case "cancel":
            return state.active
        case "extend":
            return state not in (StudyState.CANCELLED, StudyState.FAILED)
    return True
