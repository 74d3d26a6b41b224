"""One of the K searches of a study, and the identity of its random numbers."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from blackbox_am.core.criterion import Criterion
from blackbox_am.core.layout import Layout, layouts_of
from blackbox_am.core.objective import Objective
from blackbox_am.core.spec import ObjectiveSpec, StudySpec
from blackbox_am.core.types import Recheck, StopReason
from blackbox_am.plugins import build_criterion, build_objective


@dataclass(eq=False)
class Target:
    """One of the K searches.

    Attributes:
        objective: the objective to maximise.
        criterion: the success criterion; None for none.
        layout: the measured quantities and their columns.
        key: identifies the random numbers: the objective, the input, and the occurrence among
            equal targets.
        queries: measured rows, including failed rows.
        best_score: score of the best candidate so far; -inf before the first.
        best_generation, best_row: place of the best candidate.
        best_latent: (D,), or None before the first.
        best_values: (U,) float64, the quantities of the best candidate in the target's layout; None
            before the first.
        success_row: the row of `best_generation` that met the criterion; -1 if none has.
        stagnation: generations since the last improvement.
        stop_reason: why the target is finished; NONE if it is not.
        recheck: the best candidates measured again; None if they were not.
        recheck_rows: rows that measured them.
        recheck_place: generation and row of the better of them.
        recheck_latent: (D,) its latent.
        checked_queries: `queries` at the last re-check.
    """

    objective: Objective
    criterion: Criterion | None
    layout: Layout
    key: str
    queries: int = 0
    best_score: float = -math.inf
    best_generation: int = -1
    best_row: int = -1
    best_latent: NDArray[Any] | None = None
    best_values: NDArray[np.float64] | None = None
    success_row: int = -1
    stagnation: int = 0
    stop_reason: StopReason = StopReason.NONE
    recheck: Recheck | None = None
    recheck_rows: int = 0
    recheck_place: tuple[int, int] = (-1, -1)
    recheck_latent: NDArray[Any] | None = None
    checked_queries: int = 0

    @property
    def finished(self) -> bool:
        """Whether the target is finished."""
        return self.stop_reason is not StopReason.NONE

    @property
    def reported(self) -> tuple[float, tuple[int, int], NDArray[Any] | None]:
        """Score, (generation, row) and latent of the best candidate to report: the re-measured one
        if there is one.
        """
        if self.recheck is not None:
            return self.recheck.best.mean, self.recheck_place, self.recheck_latent
        return self.best_score, (self.best_generation, self.best_row), self.best_latent

    def plain(self) -> list[Any]:
        """All variable parts as plain data: equal for equal targets."""
        latent = self.best_latent
        return [
            self.queries,
            self.best_score,
            self.best_generation,
            self.best_row,
            self.success_row,
            self.stagnation,
            self.stop_reason.value,
            None if latent is None else [latent.dtype.name, latent.shape, latent.tobytes()],
            [self.recheck, self.recheck_rows, self.recheck_place, self.checked_queries],
            None if self.best_values is None else self.best_values.tobytes(),
            None if self.recheck_latent is None else self.recheck_latent.tobytes(),
        ]


def targets_of(spec: StudySpec, input_digests: Sequence[str] = ()) -> list[Target]:
    """The targets of a study before its start, whose inputs have `input_digests` if they have any.

    Raises:
        InvalidInput: if an objective or a criterion cannot be built.
    """
    objectives = [build_objective(target) for target in spec.targets]
    built = [build_criterion(criterion) for criterion in spec.criteria]
    layouts = layouts_of(objectives, built)
    criteria: list[Criterion | None] = list(built) if built else [None]
    if len(criteria) == 1:
        criteria = criteria * len(objectives)
    parts = zip(
        objectives, criteria, layouts, target_keys(spec.targets, input_digests), strict=True
    )
    return [Target(*part) for part in parts]


def target_keys(objectives: Sequence[ObjectiveSpec], input_digests: Sequence[str]) -> list[str]:
    """The key of the random numbers of each target: its objective, its input, and its occurrence
    among targets that are equal in both.

    The key of a target does not depend on the other targets or on its position in the list.
    """
    seen: Counter[str] = Counter()
    keys = []
    for spec, own in zip(objectives, input_digests or [""] * len(objectives), strict=True):
        digest = hashlib.blake2b(msgspec.json.encode(spec, order="deterministic"), digest_size=12)
        name = digest.hexdigest() + own
        keys.append(f"{name}#{seen[name]}")
        seen[name] += 1
    return keys
