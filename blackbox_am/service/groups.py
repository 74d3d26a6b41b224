"""GroupService: convert, call, convert."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, Iterator
from contextlib import suppress
from functools import partial

from blackbox_am.core.ids import check_group_id
from blackbox_am.errors import BlackboxError, InvalidInput, NotFound
from blackbox_am.groups.group import Action, Asked
from blackbox_am.groups.spec import member_id
from blackbox_am.rpc import names, pages
from blackbox_am.service import watching
from blackbox_am.service.auth.principals import only_of
from blackbox_am.service.backend import Backend
from blackbox_am.service.calls import streaming, unary, unary_model
from blackbox_am.service.grouping import Control, Grouping
from blackbox_am.v1 import group_service_pb2 as pb
from blackbox_am.v1 import study_pb2
from blackbox_am.v1 import study_service_pb2 as studies_pb
from blackbox_am.v1.group_service_pb2_grpc import GroupServiceServicer

PAGE_OF_GROUPS = 50
LOOK_SECONDS = 0.5
"""Seconds between two checks for a member that is not created yet."""


class GroupService(GroupServiceServicer):
    """Groups: create, watch, control, delete."""

    def __init__(self, backend: Backend, control: Control) -> None:
        self.backend = backend
        self.grouping = Grouping(backend, control)

    @unary_model
    def CreateGroup(self, request: pb.CreateGroupRequest) -> pb.CreateGroupResponse:  # noqa: N802
        group_id = request.group_id or f"group-{secrets.token_hex(5)}"
        check_group_id(group_id)
        spec = self.grouping.preview(request.spec, group_id)
        if request.validate_only:
            return pb.CreateGroupResponse(
                group=pb.Group(
                    state=study_pb2.STUDY_STATE_PENDING,
                    labels=spec.labels,
                    members=[pb.GroupMember(name=member.name) for member in spec.members],
                )
            )
        self.grouping.create(spec, group_id)
        return pb.CreateGroupResponse(group=self._view(group_id))

    @unary
    def GetGroup(self, request: pb.GetGroupRequest) -> pb.GetGroupResponse:  # noqa: N802
        return pb.GetGroupResponse(group=self._view(names.group_id(request.name)))

    @unary
    def ListGroups(self, request: pb.ListGroupsRequest) -> pb.ListGroupsResponse:  # noqa: N802
        labels = dict(request.labels)
        scope = f"groups:{sorted(labels.items())}"
        after = str(pages.decode(request.page_token, scope, ""))
        size = pages.page_size(request.page_size, PAGE_OF_GROUPS)

        owner = only_of()
        mine = None if owner is None else set(self.backend.store.claims.owned(owner, "groups"))

        def entries() -> Iterator[tuple[str, pb.Group]]:
            for group_id in self.backend.store.groups.ids(after):
                if mine is not None and group_id not in mine:
                    continue
                with suppress(NotFound):  # deleted meanwhile
                    group = self.grouping.load(group_id)
                    if labels.items() <= group.spec.labels.items():
                        yield group_id, self.grouping.view(group_id, group)

        found, token = pages.fill(entries(), size, scope)
        return pb.ListGroupsResponse(groups=found, next_page_token=token)

    @streaming
    async def WatchGroup(  # noqa: N802
        self, request: pb.WatchGroupRequest
    ) -> AsyncGenerator[pb.WatchGroupResponse, None]:
        group_id = names.group_id(request.name)
        group = await self.backend.in_thread(lambda: self.grouping.load(group_id))
        members = [member.name for member in group.spec.members]
        strange = sorted(set(request.after_sequences) - set(members))
        if strange:
            raise InvalidInput(
                f"after_sequences: the group has no member {strange[0]!r}; its members are "
                f"{', '.join(members[:12])}",
                field="after_sequences",
            )
        # Bounded, so that a slow reader delays the members' events and the memory does not grow.
        found: asyncio.Queue[pb.WatchGroupResponse | BlackboxError | None] = asyncio.Queue(64)
        tasks = [
            asyncio.create_task(self._follow(request, group_id, member, found))
            for member in members
        ]
        try:
            left = len(tasks)
            while left:
                update = await found.get()
                if isinstance(update, BlackboxError):
                    raise update
                if update is None:
                    left -= 1
                else:
                    yield update
        finally:
            for task in tasks:
                task.cancel()

    @unary_model
    def PauseGroup(self, request: pb.PauseGroupRequest) -> pb.PauseGroupResponse:  # noqa: N802
        return pb.PauseGroupResponse(group=self._ask(request.name, "pause"))

    @unary_model
    def ResumeGroup(self, request: pb.ResumeGroupRequest) -> pb.ResumeGroupResponse:  # noqa: N802
        return pb.ResumeGroupResponse(group=self._ask(request.name, "resume"))

    @unary_model
    def CancelGroup(self, request: pb.CancelGroupRequest) -> pb.CancelGroupResponse:  # noqa: N802
        return pb.CancelGroupResponse(group=self._ask(request.name, "cancel"))

    @unary_model
    def ExtendGroup(self, request: pb.ExtendGroupRequest) -> pb.ExtendGroupResponse:  # noqa: N802
        group_id = names.group_id(request.name)
        self.grouping.check_budget(group_id, request.budget)
        limits = {
            field.name: value
            for field, value in request.budget.ListFields()  # fields that are set, without zeros
        }
        self.grouping.ask(group_id, Asked("extend", limits))
        return pb.ExtendGroupResponse(group=self._view(group_id))

    @unary_model
    def DeleteGroup(self, request: pb.DeleteGroupRequest) -> pb.DeleteGroupResponse:  # noqa: N802
        self.grouping.ask(names.group_id(request.name), Asked("delete"))
        return pb.DeleteGroupResponse()

    def _ask(self, name: str, action: Action) -> pb.Group:
        group_id = names.group_id(name)
        self.grouping.ask(group_id, Asked(action))
        return self._view(group_id)

    def _view(self, group_id: str) -> pb.Group:
        return self.grouping.view(group_id, self.grouping.load(group_id))

    async def _follow(
        self,
        request: pb.WatchGroupRequest,
        group_id: str,
        member: str,
        found: asyncio.Queue[pb.WatchGroupResponse | BlackboxError | None],
    ) -> None:
        """Puts the events of one member into `found`, and finally None or the error that ended the
        watch.
        """
        wanted = studies_pb.WatchStudyRequest(
            name=names.study_name(member_id(group_id, member)),
            after_sequence=request.after_sequences.get(member, 0),
            min_interval=request.min_interval,
        )
        try:
            while True:
                try:
                    study_id = member_id(group_id, member)
                    await self.backend.in_thread(partial(self.grouping.check_visible, study_id))
                    async for update in watching.watch(self.backend, wanted):
                        await found.put(pb.WatchGroupResponse(member=member, event=update.event))
                except NotFound:
                    group = await self.backend.in_thread(lambda: self.grouping.load(group_id))
                    if group.unfinished is None:
                        break  # the member was deleted separately
                    await asyncio.sleep(LOOK_SECONDS)
                else:
                    break
            await found.put(None)
        except BlackboxError as error:
            await found.put(error)
