"""Groups of studies: creation, control and deletion, member by member, also after interruptions."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Lock
from typing import Any

from blackbox_am.core.types import StudyState
from blackbox_am.errors import (
    BlackboxError,
    InvalidInput,
    NotFound,
    SequenceTaken,
    StoreCorrupt,
    StudyClosed,
    StudyExists,
    Unsupported,
)
from blackbox_am.groups import group as groups
from blackbox_am.groups.group import Asked, Created, Done, Group
from blackbox_am.groups.spec import GroupSpec, MemberSpec, member_id
from blackbox_am.rpc import names, progress, specs
from blackbox_am.rpc.mapping import from_message
from blackbox_am.service import creating
from blackbox_am.service.auth.ownership import check_existing, check_visible
from blackbox_am.service.auth.principals import Principal, Role, acting_as, caller
from blackbox_am.service.backend import Backend
from blackbox_am.service.fields import under
from blackbox_am.service.views import unreadable
from blackbox_am.studies import decisions
from blackbox_am.v1 import group_service_pb2 as pb
from blackbox_am.v1 import study_pb2
from blackbox_am.v1 import study_service_pb2 as studies_pb

log = logging.getLogger(__name__)

Control = Callable[[str, Any], Any]
"""(method of StudyService, request) -> response, answered by the owner of the study."""


class Grouping:
    """Executes requests for groups.

    Args:
        backend: the studies and the store.
        control: function that controls a single study on any server.
    """

    def __init__(self, backend: Backend, control: Control) -> None:
        self._backend = backend
        self._journals = backend.store.groups
        self._control = control
        self._busy: dict[str, Lock] = {}
        self._lock = Lock()

    def load(self, group_id: str) -> Group:
        """The group from its journal.

        Raises:
            NotFound: if the group does not exist.
        """
        return groups.fold(self._journals.read(group_id))

    def preview(self, message: pb.GroupSpec, group_id: str) -> GroupSpec:
        """The specification in `message`, with every member checked as at its creation.

        Raises:
            StudyExists: if the group belongs to another caller.
            BlackboxError: as `CreateStudy`, with the path of the field from the request.
        """
        with suppress(NotFound):
            self._load_mine(group_id)
        seeded = self._seeded(message, group_id)
        with under("spec"):
            spec = from_message(seeded, GroupSpec)
        for index, member in enumerate(seeded.members):
            request = studies_pb.CreateStudyRequest(spec=member.spec, validate_only=True)
            try:
                creating.create(self._backend, request)
            except (InvalidInput, NotFound, Unsupported) as error:
                error.field = f"spec.members[{index}].{error.field or 'spec'}"
                raise
        return spec

    def create(self, spec: GroupSpec, group_id: str) -> None:
        """Creates a group and its studies; without effect if an equal group exists.

        Raises:
            StudyExists: if the group, or the study of a member, exists with another
                specification, or belongs to another caller.
            QuotaExceeded: if the caller may not have so many studies or queries.
        """
        try:
            existing = self._load_mine(group_id)
        except NotFound:
            new = [member for member in spec.members if self._is_new(group_id, member)]
            rows = sum(creating.rows_of(member.spec) for member in new)
            self._backend.authority.quotas.check_room(len(new), rows)
            principal = caller()
            owner = "" if principal is None else principal.name
            with suppress(SequenceTaken):  # another process is creating the same group
                body = groups.encode(Created(spec))
                self._journals.append(group_id, 1, body, principal=owner)
            existing = self._load_mine(group_id)
        if existing.spec != spec:
            raise StudyExists(
                f"a group {group_id!r} exists with another specification; choose another id, or "
                "delete that group first",
                field="group_id",
            )
        self.finish(group_id)

    def ask(self, group_id: str, asked: Asked) -> None:
        """Applies an action to all members, after an unfinished earlier action if that is possible.

        Raises:
            NotFound: if the group does not exist.
            SequenceTaken: if another process requests another action at the same time.
            BlackboxError: if the action fails for a member; see `finish`.
        """
        before = self.load(group_id).unfinished
        if before is not None:
            try:
                self.finish(group_id)
            except BlackboxError as error:
                log.warning("group %s: %s is not finished: %s", group_id, before.action, error)
        group = self.load(group_id)
        self._journals.append(group_id, group.sequence + 1, groups.encode(asked))
        self.finish(group_id, only=asked.action)

    def check_budget(self, group_id: str, budget: study_pb2.Budget) -> None:
        """Checks that `budget` is valid for every member that can be extended.

        Raises:
            InvalidSpec: if a limit would become smaller.
            QuotaExceeded: if the group's owner may not have so many queries.
        """
        rows, authority = 0, self._backend.authority
        for study_id in self._extendable(self.load(group_id), group_id):
            study = self._backend.registry.load(study_id)
            with under("budget"):
                raised = specs.extended_from_proto(budget, study.budget)
            decisions.extended(study, raised)
            more = raised.queries_per_target - study.budget.queries_per_target
            copies = creating.copies_of(study.spec)
            rows += 0 if study.spec.oracle is None else more * len(study.targets) * copies
        authority.quotas.check_room(0, rows, authority.owner(names.group_name(group_id)))

    def finish_all(self) -> None:
        """Completes an action that an ended process left unfinished."""
        for group_id in self._journals.ids():
            try:
                self.finish(group_id)
            except BlackboxError as error:
                log.error("group %s: %s", group_id, error)  # noqa: TRY400

    def finish(self, group_id: str, only: str = "") -> None:
        """Applies the unfinished actions to all members, and records their completion in the
        journal. A member that fails does not keep the action from the others.

        Args:
            group_id: the group.
            only: the action; every unfinished one if empty.

        Raises:
            BlackboxError: the error of the first member that failed. The action stays unfinished.
        """
        problems: list[BlackboxError] = []
        with self._alone(group_id):
            group = self.load(group_id)
            for place, asked in zip(group.places, group.pending, strict=True):
                if only in ("", asked.action):
                    failed = self._apply(group_id, group, asked)
                    if asked.action == "create":
                        failed += self._caught_up(group_id, group)
                    problems += failed
                    if not failed:
                        self._completed(group_id, place, asked)
        if problems:
            raise problems[0]

    def _apply(self, group_id: str, group: Group, asked: Asked) -> list[BlackboxError]:
        """Applies an action to all members. Returns the errors."""
        problems = []
        with acting_as(self._owner(group_id)):
            for member in group.spec.members:
                try:
                    self._do(asked, member, member_id(group_id, member.name))
                    if asked.action == "create" and group.steered == "pause":
                        self._do(Asked("pause"), member, member_id(group_id, member.name))
                except BlackboxError as error:
                    problems.append(error)
        return problems

    def _caught_up(self, group_id: str, group: Group) -> list[BlackboxError]:
        """Applies to members that were just created what other servers were asked for meanwhile.
        Returns the errors.
        """
        try:
            now = self.load(group_id)
        except NotFound:
            return self._apply(group_id, group, Asked("delete"))
        if now.steered in ("pause", "cancel") and now.steered != group.steered:
            return self._apply(group_id, now, Asked(now.steered))
        return []

    def _completed(self, group_id: str, place: int, asked: Asked) -> None:
        """Records that the request at `place` is complete, if it is still pending: other servers
        may add events at the same time, and complete or replace the request.
        """
        if asked.action == "delete":
            self._journals.delete(group_id)
            return
        done = groups.encode(Done(asked.action, place))
        with suppress(NotFound):  # deleted by another server
            while place in (group := self.load(group_id)).places:
                with suppress(SequenceTaken):
                    self._journals.append(group_id, group.sequence + 1, done)
                    return

    def view(self, group_id: str, group: Group) -> pb.Group:
        """The group as a message, with the current state of its members."""
        message = pb.Group(name=names.group_name(group_id), labels=group.spec.labels)
        message.create_time.FromNanoseconds(round(group.created_at * 1e9))
        message.owner = self._backend.authority.owner(message.name)
        message.unfinished = "" if group.unfinished is None else group.unfinished.action
        states = []
        for member in group.spec.members:
            study_id = member_id(group_id, member.name)
            entry = message.members.add(name=member.name)
            try:
                self.check_visible(study_id)
                entry.study.CopyFrom(creating.view(self._backend, study_id, full=False))
                states.append(self._backend.registry.published(study_id).progress.state)
            except NotFound:
                entry.study.name = names.study_name(study_id)
                gone = group.unfinished is None
                states.append(StudyState.CANCELLED if gone else StudyState.PENDING)
            except StoreCorrupt as error:  # a damaged member does not hide the others
                entry.study.CopyFrom(unreadable(study_id, error.message))
                states.append(StudyState.FAILED)
        message.state = progress.state_to_proto(groups.state_of(states))
        return message

    def check_visible(self, study_id: str) -> None:
        """Checks that the study of a member belongs to the caller: after its deletion another
        caller can have taken its id.

        Raises:
            NotFound: if it does not.
        """
        check_visible(self._backend.store.claims, names.study_name(study_id))

    def _owner(self, group_id: str) -> Principal | None:
        """The principal for whom the actions of a group are carried out, whoever asked for them."""
        owner = self._backend.authority.owner(names.group_name(group_id))
        return Principal(owner, Role.RUNNER) if owner else None

    def _do(self, asked: Asked, member: MemberSpec, study_id: str) -> None:
        if asked.action == "create":
            spec = specs.study_to_proto(member.spec)
            request = studies_pb.CreateStudyRequest(spec=spec, study_id=study_id)
            creating.create(self._backend, request)
            return
        with suppress(NotFound, StudyClosed):  # deleted or ended already: no action needed
            self.check_visible(study_id)
            # A study that cannot be read can be deleted.
            if asked.action == "delete" or groups.wants(asked.action, self._state(study_id)):
                self._control(*_steering(asked, names.study_name(study_id)))

    def _seeded(self, message: pb.GroupSpec, group_id: str) -> pb.GroupSpec:
        """`message` with a seed for each member: its own seed, the seed in the existing group, or
        one drawn seed. All members have the same drawn seed, so that they differ only in the
        requested fields.
        """
        seeded = pb.GroupSpec()
        seeded.CopyFrom(message)
        drawn = secrets.randbits(creating.SEED_BITS)
        known: dict[str, int] = {}
        with suppress(NotFound):
            existing = self._load_mine(group_id).spec
            known = {member.name: member.spec.seed for member in existing.members}
        for member in seeded.members:
            if not member.spec.HasField("seed"):
                member.spec.seed = known.get(member.name, drawn)
        return seeded

    def _is_new(self, group_id: str, member: MemberSpec) -> bool:
        """Whether the study of a member does not exist.

        Raises:
            StudyExists: if it exists with another specification, or belongs to another caller.
        """
        study_id = member_id(group_id, member.name)
        try:
            found = self._backend.registry.published(study_id).created.spec
        except NotFound:
            return True
        check_existing(self._backend.store.claims, names.study_name(study_id), "group_id")
        if found != member.spec:
            raise StudyExists(
                f"member {member.name!r}: a study {study_id!r} exists with another specification; "
                "choose another group id, or delete that study first",
                field="group_id",
            )
        return False

    def _extendable(self, group: Group, group_id: str) -> Iterator[str]:
        for member in group.spec.members:
            study_id = member_id(group_id, member.name)
            with suppress(NotFound):
                self.check_visible(study_id)
                if groups.wants("extend", self._state(study_id)):
                    yield study_id

    def _state(self, study_id: str) -> StudyState:
        return self._backend.registry.published(study_id).progress.state

    def _load_mine(self, group_id: str) -> Group:
        """The caller's group.

        Raises:
            NotFound: if the group does not exist.
            StudyExists: if it belongs to another caller.
        """
        group = self.load(group_id)
        check_existing(self._backend.store.claims, names.group_name(group_id), "group_id")
        return group

    @contextmanager
    def _alone(self, group_id: str) -> Iterator[None]:
        with self._lock:
            lock = self._busy.setdefault(group_id, Lock())
        with lock:
            yield


def _steering(asked: Asked, name: str) -> tuple[str, Any]:
    """The method of StudyService, and the request, that apply the action to one study."""
    match asked.action:
        case "pause":
            return "PauseStudy", studies_pb.PauseStudyRequest(name=name)
        case "resume":
            return "ResumeStudy", studies_pb.ResumeStudyRequest(name=name)
        case "cancel":
            return "CancelStudy", studies_pb.CancelStudyRequest(name=name)
        case "delete":
            return "DeleteStudy", studies_pb.DeleteStudyRequest(name=name)
    request = studies_pb.ExtendStudyRequest(name=name)
    for limit, value in asked.budget.items():
        setattr(request.budget, limit, value)
    return "ExtendStudy", request
