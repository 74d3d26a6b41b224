"""The studies of a comparison.

Each pair of method and seed is one study with all K units as its targets, so that one call of the
model serves the candidates of all units. One study more, `start`, measures the natural images once
for all methods, and 64 random latents for each unit.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from blackbox_am.comparisons.problem import BACKWARD, FORWARD, ComparisonSpec, MethodSpec
from blackbox_am.comparisons.results import Method
from blackbox_am.comparisons.targets import specs_of
from blackbox_am.core.spec import (
    ArrayData,
    BaselineSpec,
    Budget,
    GeneratorSpec,
    OptimizerSpec,
    StartSpec,
    StudySpec,
    to_plain,
)
from blackbox_am.core.transform_spec import TransformsSpec
from blackbox_am.errors import InvalidSpec
from blackbox_am.groups.spec import MAX_MEMBERS

START_ROWS = 64
"""Random latents of each unit, whose highest score is the level from which gains are counted."""
TRANSFORMS_SEED = 0
"""Seed of the transformations of all studies, unless the comparison sets another one."""
REPEATS = 16
"""Fresh measurements of what was found, on a noisy model."""
_OTHERS = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True)
class Member:
    """One study of a comparison.

    Attributes:
        name: its name in the group of studies.
        method: the method; empty for the study of the start.
        seed: the seed.
        spec: the study.
    """

    name: str
    method: str
    seed: int
    spec: StudySpec


@dataclass(frozen=True)
class Plan:
    """The studies of a comparison.

    Attributes:
        spec: the comparison.
        units: the K units.
        methods: the methods, also those that cannot run.
        start: the study of natural images and random latents.
        members: the studies of the methods that can run: all methods of the first seed, then of the
            next seed.
        starts: number of points at which each method that can run begins, by its name.
    """

    spec: ComparisonSpec
    units: tuple[str, ...]
    methods: tuple[Method, ...]
    start: Member
    members: tuple[Member, ...]
    starts: Mapping[str, int]

    @property
    def group_id(self) -> str:
        """The id of the group of studies, of at most 32 characters."""
        return slug(self.spec.name, 32) or "comparison"


def stage_of(plan: Plan, member: Member) -> str:
    """Which study of a comparison `member` is, for people."""
    total = 1 + len(plan.members)
    if member == plan.start:
        return f"1 of {total}: natural images and random latents"
    if member in plan.members:
        return f"{plan.members.index(member) + 2} of {total}: {member.method}, seed {member.seed}"
    if not member.method:
        return "fresh measurements of the best random latents"
    return f"fresh measurements of {member.method}, seed {member.seed}"


@dataclass(frozen=True)
class Examined:
    """What is known of a method before it runs.

    Attributes:
        order: of its optimizer: 0, or 1 if it needs gradients.
        starts: points at which the search begins: rows of a generation times restarts.
        unavailable: why it cannot run; empty if it can.
    """

    order: int
    starts: int = 0
    unavailable: str = ""


def planned(
    spec: ComparisonSpec,
    units: Sequence[str],
    examined: Sequence[Examined],
    baseline: BaselineSpec | None,
) -> Plan:
    """The studies of a comparison.

    Args:
        spec: the comparison.
        units: the K units.
        examined: for each method of `spec.all_methods`.
        baseline: the natural images that the study of the start measures; None for none.

    Raises:
        InvalidSpec: for more studies than a group can have.
    """
    methods = tuple(
        method_of(spec, method, found)
        for method, found in zip(spec.all_methods, examined, strict=True)
    )
    members = tuple(
        _member(method.name, seed, study_spec(spec, units, method, seed))
        for seed in spec.all_seeds
        for method, asked in zip(methods, spec.all_methods, strict=True)
        if not method.unavailable and seed in spec.seeds_of(asked)
    )
    if 1 + len(members) > MAX_MEMBERS:
        raise InvalidSpec(
            f"seeds: {len(spec.all_seeds):,} seeds of all methods are {len(members):,} studies; a "
            f"comparison has at most {MAX_MEMBERS - 1:,} studies: use fewer seeds or methods",
            field="seeds",
        )
    start = _member("", spec.all_seeds[0], start_spec(spec, units, baseline))
    starts = {
        method.name: found.starts
        for method, found in zip(methods, examined, strict=True)
        if not method.unavailable
    }
    return Plan(spec, tuple(units), methods, start, members, starts)


def method_of(spec: ComparisonSpec, method: MethodSpec, found: Examined) -> Method:
    """A method with its cost and the rows that it may measure for each unit."""
    cost = FORWARD + BACKWARD if found.order else FORWARD
    parameters = method.parameters
    rows = max(1, math.floor((method.budget or spec.budget) / cost))
    if method.searches_with == "random" and "population" not in parameters and rows < START_ROWS:
        parameters = {**parameters, "population": rows}
    return Method(
        name=method.name,
        optimizer=method.searches_with,
        parameters=parameters,
        order=found.order,
        cost=cost,
        queries_per_target=rows,
        reference=method.reference,
        unavailable=found.unavailable,
    )


def check_generation(
    method: MethodSpec, spec: ComparisonSpec, planned: Method, population: int
) -> None:
    """Check that a method can measure one generation of `population` rows for each unit.

    Raises:
        InvalidSpec: if its budget is smaller.
    """
    if population > planned.queries_per_target:
        raise InvalidSpec(
            f"budget: a generation of method {method.name!r} has {population} rows for each unit, "
            f"which cost {population * planned.cost:g} query-equivalents, got a budget of "
            f"{method.budget or spec.budget}; raise the budget, or give the method a smaller "
            "population",
            field="budget",
        )


def study_spec(spec: ComparisonSpec, units: Sequence[str], method: Method, seed: int) -> StudySpec:
    """The study of one method and seed."""
    return StudySpec(
        targets=specs_of(units, spec.penalties),
        budget=Budget(method.queries_per_target, recheck_fraction=spec.recheck_fraction),
        generator=GeneratorSpec(spec.generator),
        oracle=spec.oracle,
        optimizer=OptimizerSpec(method.optimizer, dict(method.parameters)),
        seed=seed,
        transforms=_transforms(spec),
    )


def start_spec(
    spec: ComparisonSpec, units: Sequence[str], baseline: BaselineSpec | None
) -> StudySpec:
    """The study that measures natural images, and random latents for each unit."""
    return StudySpec(
        targets=specs_of(units, spec.penalties),
        budget=Budget(START_ROWS, recheck_fraction=0.0),  # see `repeated`
        generator=GeneratorSpec(spec.generator),
        oracle=spec.oracle,
        optimizer=OptimizerSpec("random", {"population": START_ROWS}),
        seed=spec.all_seeds[0],
        baseline=baseline,
        transforms=_transforms(spec),
    )


def _transforms(spec: ComparisonSpec) -> TransformsSpec | None:
    """The transformations of all studies, with one seed: studies of different seeds, natural images
    and random latents are then seen under the same draws.
    """
    given = spec.transforms
    if given is None or given.seed is not None:
        return given
    return msgspec.structs.replace(given, seed=TRANSFORMS_SEED)


def repeated(member: Member, targets: Sequence[int], latents: NDArray[Any]) -> Member:
    """The study that measures what `member` found afresh, several times.

    Its first generation is the latent of each target, and the re-check of its end measures this
    latent again; the score of the first generation is not used.

    Args:
        member: the study that found the latents, on a noisy model.
        targets: positions of the targets that have a latent, R of them.
        latents: (R, D).
    """
    spec = msgspec.structs.replace(
        member.spec,
        targets=tuple(member.spec.targets[target] for target in targets),
        budget=Budget(1 + REPEATS, recheck_fraction=(REPEATS + 0.5) / (1 + REPEATS)),
        optimizer=OptimizerSpec("random", {"population": 1}),
        start=StartSpec(latents=ArrayData.of(latents.astype(np.float32))),
        baseline=None,
    )
    return replace(_member("again", member.seed, spec), method=member.method)


def slug(text: str, length: int) -> str:
    """`text` in small letters, digits and hyphens, beginning with a letter."""
    plain = _OTHERS.sub("-", text.lower()).strip("-").lstrip("0123456789-")
    return plain[:length].strip("-")


def _member(method: str, seed: int, spec: StudySpec) -> Member:
    """A study, whose name contains a digest of its specification: a comparison that changes keeps
    the studies that are the same.
    """
    digest = hashlib.blake2b(
        msgspec.json.encode([method, to_plain(spec)]), digest_size=4
    ).hexdigest()
    label = slug(method or "start", 12) or "method"
    return Member(f"{label}-{seed}-{digest}", method, seed, spec)
