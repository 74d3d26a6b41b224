"""A comparison from its specification to its result, whoever runs its studies."""

from __future__ import annotations

from dataclasses import dataclass

from blackbox_am.comparisons.assembling import Ran, assembled
from blackbox_am.comparisons.choosing import units_of
from blackbox_am.comparisons.planning import Member, Plan, planned, repeated
from blackbox_am.comparisons.problem import ComparisonSpec
from blackbox_am.comparisons.results import ComparisonResult
from blackbox_am.comparisons.running import Found, Natural, Runner, latents_of
from blackbox_am.errors import InvalidSpec, OracleError


@dataclass(frozen=True)
class Compared:
    """A comparison whose studies have run.

    Attributes:
        result: what the studies found.
        natural: the natural images.
        plan: the studies.
    """

    result: ComparisonResult
    natural: Natural
    plan: Plan


def plan_of(spec: ComparisonSpec, runner: Runner) -> Plan:
    """The studies of a comparison, completely checked. The model measures nothing.

    Args:
        spec: the comparison.
        runner: knows the models.

    Raises:
        InvalidSpec: for a budget that is less than one generation of a method.
        BlackboxError: as `Runner.examine`.
    """
    units = units_of(spec, runner.describe())
    examined = runner.examine(spec, units, spec.all_methods)
    plan = planned(spec, units, examined, runner.baseline(spec))
    if all(method.unavailable for method in plan.methods if not method.reference):
        reasons = "; ".join(f"{one.name}: {one.unavailable}" for one in plan.methods)
        raise InvalidSpec(f"methods: none of them can run ({reasons})", field="methods")
    return plan


def run(plan: Plan, runner: Runner) -> Compared:
    """Runs all studies one after another. A study whose model fails ends with a message, and the
    others run.

    Args:
        plan: the studies.
        runner: runs them.

    Raises:
        OracleError: if the first study fails, as then no other can run.
        Conflict: if the stored studies belong to other models or natural images.
    """
    runner.begin(plan)
    ran = Ran(plan, runner.run(plan, plan.start), _natural(plan, runner), runner.identity())
    _measure_again(ran, plan.start, ran.start, runner)
    for member in plan.members:
        _run(ran, member, runner)
    runner.end(plan)
    return Compared(assembled(ran), ran.natural, plan)


def collected(plan: Plan, runner: Runner) -> Compared:
    """The comparison as far as its studies have come; nothing is measured.

    Raises:
        InvalidSpec: if the comparison has not begun.
        Conflict: if the stored studies belong to other models or natural images.
    """
    start = runner.stored(plan, plan.start)
    if start is None:
        raise InvalidSpec("nothing of this comparison is stored here; run it first")
    ran = Ran(plan, start, _natural(plan, runner), runner.identity())
    for member in (plan.start, *plan.members):
        found = start if member == plan.start else runner.stored(plan, member)
        if found is None:
            continue
        if member != plan.start:
            ran.found[member.name] = found
        again = _repeated(member, found)
        kept = None if again is None else runner.stored(plan, again)
        if kept is not None:
            ran.again[member.name] = kept
    return Compared(assembled(ran), ran.natural, plan)


def _run(ran: Ran, member: Member, runner: Runner) -> None:
    try:
        found = ran.found[member.name] = runner.run(ran.plan, member)
    except OracleError as error:
        ran.failed[member.name] = error.message
        partial = runner.stored(ran.plan, member)
        if partial is not None and partial.best:
            ran.found[member.name] = partial
        return
    _measure_again(ran, member, found, runner)


def _measure_again(ran: Ran, member: Member, found: Found, runner: Runner) -> None:
    """Measures what `member` found afresh, if its model is noisy."""
    again = _repeated(member, found)
    if again is None:
        return
    try:
        ran.again[member.name] = runner.run(ran.plan, again)
    except OracleError as error:
        ran.unsure[member.name] = error.message


def _repeated(member: Member, found: Found) -> Member | None:
    """The study that measures what `member` found afresh; None if there is no need."""
    if not found.noisy or not found.ended or not found.best:
        return None
    return repeated(member, *latents_of(found))


def _natural(plan: Plan, runner: Runner) -> Natural:
    return runner.natural(plan) or Natural.nothing(
        len(plan.units), runner.describe().stimulus_shape
    )
