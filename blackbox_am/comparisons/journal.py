"""The group of a comparison's studies in the journal of a local store.

The group says which studies belong together. A server that opens the same store lists it, and, as
long as it is not complete, creates and runs what is left of it. A label of the group has the digest
of the natural images of each study of the start, so that no other images take their place.
"""

from __future__ import annotations

from collections.abc import Mapping

from blackbox_am.comparisons.planning import Plan
from blackbox_am.errors import Conflict, NotFound
from blackbox_am.groups import group as groups
from blackbox_am.groups.group import Created, Done, Group
from blackbox_am.groups.spec import GroupSpec, MemberSpec
from blackbox_am.stores import SQLStore


def group_of(plan: Plan, labels: Mapping[str, str]) -> GroupSpec:
    """The group of all studies of a comparison that are known before the first one runs."""
    members = (plan.start, *plan.members)
    return GroupSpec(
        tuple(MemberSpec(member.name, member.spec) for member in members),
        {**labels, "comparison": plan.spec.name},
    )


def begin(store: SQLStore, plan: Plan, images: str) -> None:
    """Writes the group, in place of an earlier group of this id with other studies. The studies of
    the earlier group are kept.

    Args:
        store: the store.
        plan: the comparison.
        images: digest of the natural images; empty without images.

    Raises:
        Conflict: if the natural images have changed since the comparison began.
    """
    check_images(store, plan, images)
    group = _stored(store, plan)
    labels = {} if group is None else dict(group.spec.labels)
    if images:
        labels[_label(plan)] = images
    spec = group_of(plan, labels)
    if group is not None:
        if group.spec == spec:
            return
        store.groups.delete(plan.group_id)
    store.groups.append(plan.group_id, 1, groups.encode(Created(spec)))


def check_images(store: SQLStore, plan: Plan, images: str) -> None:
    """Checks that the natural images are those with which the comparison began.

    Args:
        store: the store.
        plan: the comparison.
        images: digest of the present natural images; empty without images.

    Raises:
        Conflict: if they have changed.
    """
    group = _stored(store, plan)
    if group is not None and group.spec.labels.get(_label(plan), images) != images:
        raise images_changed(plan)


def images_changed(plan: Plan) -> Conflict:
    """The error for natural images other than those with which the comparison began."""
    return Conflict(
        f"baseline: the natural images of {plan.spec.baseline or 'this comparison'} have changed "
        "since it began, and scores of other images would be mixed with them; restore the images, "
        "or choose another folder",
        field="baseline",
    )


def end(store: SQLStore, plan: Plan) -> None:
    """Writes that every study of the group was created."""
    group = _stored(store, plan)
    if group is not None and group.unfinished is not None:
        store.groups.append(plan.group_id, group.sequence + 1, groups.encode(Done()))


def _stored(store: SQLStore, plan: Plan) -> Group | None:
    try:
        return groups.fold(store.groups.read(plan.group_id))
    except NotFound:
        return None


def _label(plan: Plan) -> str:
    return f"images of {plan.start.name}"
