"""A handle on a group of studies on a server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import grpc

from blackbox_am.client.connection import Connection, Reconnecting
from blackbox_am.client.specs import extension
from blackbox_am.client.study import Study
from blackbox_am.core.study_events import StudyEvent
from blackbox_am.core.types import StudyState
from blackbox_am.rpc import names, progress
from blackbox_am.rpc.events import from_proto
from blackbox_am.rpc.times import duration_to_proto
from blackbox_am.v1 import group_service_pb2 as pb
from blackbox_am.v1.group_service_pb2_grpc import GroupServiceStub


@dataclass(frozen=True)
class GroupMember:
    """The progress of one study of a group.

    Attributes:
        name: its name in the group.
        study_id: its id.
        state, message: its state and the reason; None if the study does not exist yet, or was
            deleted.
        best_score: the best score of all its targets; None before the first measurement.
        search_rows: rows that its search measured.
    """

    name: str
    study_id: str
    state: StudyState | None
    message: str
    best_score: float | None
    search_rows: int


@dataclass(frozen=True)
class GroupProgress:
    """The progress of a group.

    Attributes:
        group_id: its id.
        state: derived from the members' states.
        members: one entry for each member.
        labels: the labels from its creation.
        unfinished: the action that is being applied to the members one after another, such as
            `create`.
        owner: on a server with tokens, the name of the caller to whom the group belongs.
    """

    group_id: str
    state: StudyState
    members: tuple[GroupMember, ...]
    labels: dict[str, str]
    unfinished: str
    owner: str = ""


class Group:
    """A handle of a group. It contains only the id; the server has all data.

    Attributes:
        id: the group's id.
    """

    def __init__(self, connection: Connection, group_id: str) -> None:
        self.id = group_id
        self._connection = connection
        self._name = names.group_name(group_id)

    @property
    def _stub(self) -> GroupServiceStub:
        return self._connection.groups

    def __repr__(self) -> str:
        return f"<Group {self.id!r} at {self._connection.target}>"

    def progress(self) -> GroupProgress:
        """The current progress of the group."""
        request = pb.GetGroupRequest(name=self._name)
        return from_message(self._connection.call(self._stub.GetGroup, request).group)

    def members(self) -> dict[str, Study]:
        """Handles of the group's studies, by their names in the group."""
        found = self.progress().members
        return {member.name: Study(self._connection, member.study_id) for member in found}

    def watch(
        self,
        after_sequences: dict[str, int] | None = None,
        min_interval: float = 0.0,
        *,
        reconnect_seconds: float = 60.0,
    ) -> Iterator[tuple[str, StudyEvent]]:
        """The events of all members, until all have ended: (name of the member, event).

        Events are in order for each member. After a lost connection, the events continue after the
        last event of each member, without gaps or repeats.

        Args:
            after_sequences: for each member, by its name: only events after this number.
            min_interval: seconds; events of generations of one member that follow each other faster
                are left out, except the last one. 0 for all events.
            reconnect_seconds: longest time to wait for an unavailable server.

        Raises:
            ServerUnavailable: if the server did not come back in time.
            NotFound: if the group is deleted.
        """
        seen = dict(after_sequences or {})
        interval = duration_to_proto(min_interval, "min_interval")
        attempts = Reconnecting(self._connection.target, reconnect_seconds)
        while True:
            request = pb.WatchGroupRequest(
                name=self._name, after_sequences=seen, min_interval=interval
            )
            call = self._stub.WatchGroup(request)
            try:
                for update in call:
                    attempts.answered()
                    if update.event.sequence > seen.get(update.member, 0):
                        seen[update.member] = update.event.sequence
                        yield update.member, from_proto(update.event)
            except grpc.RpcError as error:
                attempts.failed(error)
            else:
                return
            finally:
                call.cancel()

    def wait(self, *, reconnect_seconds: float = 60.0) -> GroupProgress:
        """Waits until all members have ended.

        Raises:
            ServerUnavailable: if the server became unavailable and did not come back in time.
        """
        for _ in self.watch(min_interval=1.0, reconnect_seconds=reconnect_seconds):
            pass
        return self.progress()

    def pause(self) -> GroupProgress:
        """Pauses the members that have not ended."""
        return self._steer(self._stub.PauseGroup, pb.PauseGroupRequest(name=self._name))

    def resume(self) -> GroupProgress:
        """Resumes the paused and failed members."""
        return self._steer(self._stub.ResumeGroup, pb.ResumeGroupRequest(name=self._name))

    def cancel(self) -> GroupProgress:
        """Cancels the members that have not ended, permanently."""
        return self._steer(self._stub.CancelGroup, pb.CancelGroupRequest(name=self._name))

    def extend(
        self,
        *,
        queries_per_target: int | None = None,
        seconds: float | None = None,
        target_score: float | None = None,
        patience: int | None = None,
    ) -> GroupProgress:
        """Raises the budget of every member that was not cancelled and has not failed.

        Raises:
            InvalidSpec: if a limit of a member would become smaller.
        """
        budget = extension(queries_per_target, seconds, target_score, patience)
        request = pb.ExtendGroupRequest(name=self._name, budget=budget)
        return self._steer(self._stub.ExtendGroup, request)

    def delete(self) -> None:
        """Cancels all members, and deletes them and the group."""
        self._connection.call(self._stub.DeleteGroup, pb.DeleteGroupRequest(name=self._name))

    def _steer(self, method: Any, request: Any) -> GroupProgress:
        return from_message(self._connection.call(method, request).group)


def from_message(message: pb.Group) -> GroupProgress:
    """The group in `message`."""
    return GroupProgress(
        names.group_id(message.name) if message.name else "",
        progress.state_from_proto(message.state),
        tuple(_member(member) for member in message.members),
        dict(message.labels),
        message.unfinished,
        message.owner,
    )


def _member(message: pb.GroupMember) -> GroupMember:
    study = message.study
    return GroupMember(
        message.name,
        names.study_id(study.name) if study.name else "",
        progress.state_from_proto(study.state) if study.state else None,
        study.message,
        study.best_score if study.HasField("best_score") else None,
        study.accounting.search_rows,
    )
