"""The group of a comparison's studies in the journal of a local store.

The group says which studies belong together. A server that opens the same store lists it, and, as
long as it is not complete, creates and runs what is left of it.
"""

from __future__ import annotations

from contextlib import suppress

from blackbox_am.comparisons.planning import Plan
from blackbox_am.errors import NotFound
from blackbox_am.groups import group as groups
from blackbox_am.groups.group import Created, Done
from blackbox_am.groups.spec import GroupSpec, MemberSpec
from blackbox_am.stores import SQLStore


def group_of(plan: Plan) -> GroupSpec:
    """The group of all studies of a comparison that are known before the first one runs."""
    members = (plan.start, *plan.members)
    return GroupSpec(
        tuple(MemberSpec(member.name, member.spec) for member in members),
        {"comparison": plan.spec.name},
    )


def begin(store: SQLStore, plan: Plan) -> None:
    """Writes the group, in place of an earlier group of this id with other studies. The studies of
    the earlier group are kept.
    """
    spec = group_of(plan)
    with suppress(NotFound):
        if groups.fold(store.groups.read(plan.group_id)).spec == spec:
            return
        store.groups.delete(plan.group_id)
    store.groups.append(plan.group_id, 1, groups.encode(Created(spec)))


def end(store: SQLStore, plan: Plan) -> None:
    """Writes that every study of the group was created."""
    group = groups.fold(store.groups.read(plan.group_id))
    if group.unfinished is not None:
        store.groups.append(plan.group_id, group.sequence + 1, groups.encode(Done()))
