"""The result of a comparison, put together from its studies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from blackbox_am.comparisons.histories import curve, stands_still
from blackbox_am.comparisons.planning import Member, Plan
from blackbox_am.comparisons.protocol import protocol_of
from blackbox_am.comparisons.results import (
    ComparedUnit,
    ComparisonResult,
    Method,
    Run,
)
from blackbox_am.comparisons.running import Found, Natural, message_of
from blackbox_am.comparisons.targets import layer_of
from blackbox_am.core.types import Best
from blackbox_am.version import __version__

UNSURE = "the fresh measurements of a noisy model are missing"


@dataclass(frozen=True)
class Ran:
    """The studies of a comparison that have run so far.

    Attributes:
        plan: the comparison.
        start: the study of natural images and random latents.
        natural: the natural images.
        identity: facts about the models and the machine.
        found: what each member found, by its name.
        again: the fresh measurements of what a member or the start found, by its name; only on a
            noisy model.
        failed: the reason for each member whose model failed, by its name. What such a member found
            before is in `found`.
        unsure: the reason for each member, or the start, whose fresh measurements failed.
    """

    plan: Plan
    start: Found
    natural: Natural
    identity: Mapping[str, str]
    found: dict[str, Found] = field(default_factory=dict)
    again: dict[str, Found] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    unsure: dict[str, str] = field(default_factory=dict)

    @property
    def noisy(self) -> bool:
        """Whether the model does not repeat its answers."""
        return any(found.noisy for found in (self.start, *self.found.values()))


def assembled(ran: Ran) -> ComparisonResult:
    """The result, complete or not."""
    plan, spec = ran.plan, ran.plan.spec
    runs = tuple(run for member in plan.members for run in _runs(ran, member))
    unfinished = [member for member in (plan.start, *plan.members) if not _over(ran, member)]
    protocol = protocol_of(plan, noisy=ran.noisy, images=ran.natural.scores.shape[1])
    return ComparisonResult(
        name=spec.name,
        identity=_identity(ran),
        baseline=_baseline(plan),
        budget=float(spec.budget),
        seeds=spec.all_seeds,
        penalties=spec.penalties,
        methods=plan.methods,
        units=tuple(_unit(ran, place) for place in range(len(plan.units))),
        runs=runs,
        protocol=protocol,
        best_known=_best_known(ran, runs),
        warnings=(*_warnings(ran), *(part.text for part in protocol if not part.kept)),
        complete=not unfinished,
    )


def _over(ran: Ran, member: Member) -> bool:
    """Whether a member has nothing more to do. One that failed and found nothing is over."""
    found = ran.start if member == ran.plan.start else ran.found.get(member.name)
    if found is None:
        return member.name in ran.failed
    if not found.ended:
        return False
    return not found.noisy or len(_fresh(found, ran.again.get(member.name))) == len(found.best)


def _baseline(plan: Plan) -> str:
    """The method with which the others are compared: the first with gradients, where none is
    named.
    """
    if plan.spec.against:
        return plan.spec.against
    compared = [one for one in plan.methods if not one.reference and not one.unavailable]
    climbing = [one for one in compared if one.order == 1]
    return (climbing or compared)[0].name


def _identity(ran: Ran) -> dict[str, str]:
    spec = ran.plan.spec
    chosen = {}
    for method in ran.plan.methods:
        names = {
            ran.found[member.name].progress.optimizer
            for member in ran.plan.members
            if member.method == method.name and member.name in ran.found
        }
        if names - {method.optimizer}:
            chosen[f"optimizer of {method.name}"] = ", ".join(sorted(names))
    return {
        "version": __version__,
        "oracle": spec.oracle,
        "generator": spec.generator,
        **ran.identity,
        "noise": "the model does not repeat its answers"
        if ran.noisy
        else "the model repeats its answers",
        **chosen,
    }


def _best_known(ran: Ran, runs: Sequence[Run]) -> dict[str, float]:
    """The best score of each unit in the generator: of all runs and of the random latents."""
    known = {}
    for place, unit in enumerate(ran.plan.units):
        scores = [run.score for run in runs if run.unit == unit]
        scores = [one for one in (*scores, _start(ran, place)) if np.isfinite(one)]
        if scores:
            known[unit] = max(scores)
    return known


def _start(ran: Ran, place: int) -> float:
    """The score of the best random latent of a unit: on a noisy model the mean of its fresh
    measurements, as the best of many noisy scores is too high; nan without one.
    """
    if ran.start.noisy:
        fresh = _fresh(ran.start, ran.again.get(ran.plan.start.name))
        return fresh[place][0] if place in fresh else float("nan")
    score = ran.start.progress.targets[place].best_score
    return float("nan") if score is None else score


def _unit(ran: Ran, place: int) -> ComparedUnit:
    natural = ran.natural.scores[place]
    known = np.flatnonzero(np.isfinite(natural))
    image = None
    if len(known):
        image = ran.natural.stimuli[known[natural[known].argmax()]]
    return ComparedUnit(
        unit=ran.plan.units[place],
        layer=layer_of(ran.plan.units[place]),
        natural=natural,
        natural_image=image,
        start=_start(ran, place),
    )


def _runs(ran: Ran, member: Member) -> list[Run]:
    """What a member found for each unit."""
    found = ran.found.get(member.name)
    units = ran.plan.units
    if found is None:
        reason = ran.failed.get(member.name)
        return [] if reason is None else [_nothing(member, unit, reason) for unit in units]
    method = next(one for one in ran.plan.methods if one.name == member.method)
    best = {one.target: one for one in found.best}
    again = _fresh(found, ran.again.get(member.name))
    message = _message(ran, member, found)
    return [
        _run(method, member, unit, place, found, best.get(place), again.get(place), message)
        for place, unit in enumerate(units)
    ]


def _message(ran: Ran, member: Member, found: Found) -> str:
    """Why a member stopped early, or has no fresh measurements; empty if neither."""
    stopped = ran.failed.get(member.name) or message_of(found)
    if stopped or not found.noisy or not found.best:
        return stopped
    again = ran.again.get(member.name)
    if len(_fresh(found, again)) == len(found.best):
        return ""
    reason = ran.unsure.get(member.name) or (message_of(again) if again else "they have not begun")
    return f"{UNSURE} ({reason or 'some have no score'}); the same command tries them again"


def _fresh(found: Found, again: Found | None) -> dict[int, tuple[float, float]]:
    """The mean of the fresh measurements of each target, and its standard error."""
    if again is None:
        return {}
    targets = [best.target for best in found.best]
    checks = {one.target: one.recheck for one in again.best}
    return {
        target: (check.best.mean, check.best.standard_error or 0.0)
        for place, target in enumerate(targets)
        for check in [checks.get(place)]
        if check is not None and np.isfinite(check.best.mean)
    }


def _run(
    method: Method,
    member: Member,
    unit: str,
    place: int,
    found: Found,
    best: Best | None,
    again: tuple[float, float] | None,
    message: str,
) -> Run:
    target = found.progress.targets[place]
    rows, so_far = curve(found.history, place, target.queries)
    if best is None:
        return _nothing(member, unit, message or "no row of this unit has a score")
    score, error = best.score, 0.0
    if again is not None:
        score, error = again
    elif found.noisy:  # a best score that took part in the choice is too high
        score = float("nan")
    return Run(
        method=member.method,
        unit=unit,
        seed=member.seed,
        score=float(score),
        score_error=float(error),
        latent=np.asarray(best.latent),
        stimulus=None if best.stimulus is None else np.asarray(best.stimulus, np.float32),
        equivalents=rows * method.cost,
        best_so_far=so_far,
        rows=target.queries,
        backward_rows=target.queries if method.order else 0,
        seconds=found.progress.seconds / len(found.progress.targets),
        message=message,
    )


def _nothing(member: Member, unit: str, message: str) -> Run:
    """The run of a member that found nothing for `unit`."""
    return Run(
        method=member.method,
        unit=unit,
        seed=member.seed,
        score=float("nan"),
        score_error=0.0,
        latent=np.empty(0, np.float32),
        stimulus=None,
        equivalents=np.empty(0),
        best_so_far=np.empty(0),
        rows=0,
        backward_rows=0,
        seconds=float("nan"),
        message=message,
    )


def _warnings(ran: Ran) -> list[str]:
    """What a reader must know: methods that cannot run, warnings of the studies, ascents that stand
    still, and units of which all images have the same score.
    """
    away = [
        f"{one.name} is unavailable: {one.unavailable}"
        for one in ran.plan.methods
        if one.unavailable
    ]
    said: dict[str, list[str]] = {}
    for member in ran.plan.members:
        for text in _said(ran, member):
            said.setdefault(f"{member.method}: {text}", []).append(str(member.seed))
    flat = [
        unit
        for unit, scores in zip(ran.plan.units, ran.natural.scores, strict=True)
        if len(scores) > 1 and np.nanmin(scores) == np.nanmax(scores)
    ]
    dead = [f"all natural images have the same score of {', '.join(flat)}"] if flat else []
    if not _over(ran, ran.plan.start):
        dead.append(f"random latents: {_message(ran, ran.plan.start, ran.start)}")
    return [*away, *(f"{text} (seeds {', '.join(seeds)})" for text, seeds in said.items()), *dead]


def _said(ran: Ran, member: Member) -> list[str]:
    """The warnings about one study."""
    found = ran.found.get(member.name)
    if found is None:
        return [ran.failed[member.name]] if member.name in ran.failed else []
    texts = [found.progress.warning] if found.progress.warning else []
    message = _message(ran, member, found)
    if message:
        texts.append(message if found.ended else f"stopped early: {message}")
    method = next(one for one in ran.plan.methods if one.name == member.method)
    still = [
        unit
        for place, unit in enumerate(ran.plan.units)
        if method.order == 1 and stands_still(found.history, place)
    ]
    if still:
        texts.append(
            f"the search did not move for {', '.join(still)}, because all gradients were 0 or not "
            "finite"
        )
    return texts
