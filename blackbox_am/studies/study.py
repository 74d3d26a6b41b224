"""The study: a pure state machine. No clock, disk, network or model in here.

`apply` is the only thing that changes a study, and it takes nothing but an event: the
state is the fold of the journal. `decisions` turns wishes into events.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from blackbox_am.core.identity import Fingerprint
from blackbox_am.core.objective import Objective
from blackbox_am.core.spec import ArrayData, Budget, OptimizerSpec, SpaceSpec, StudySpec
from blackbox_am.core.types import Accounting, FloatArray, StopReason, StudyState
from blackbox_am.errors import InvalidInput
from blackbox_am.plugins import build_objective
from blackbox_am.studies.events import (
    Adopted,
    BudgetChanged,
    Created,
    Event,
    GenerationClosed,
    GenerationOpened,
    Resumed,
    RowsTold,
    StateChanged,
)

Array = NDArray[Any]


@dataclass(eq=False)
class Target:
    """One of the K searches.

    Attributes:
        objective: what it maximises.
        queries: rows measured for it, failed ones included.
        best_score: the best so far; -inf before the first.
        best_generation, best_row: where the best came from.
        best_latent: (D,), or None before the first.
        stagnation: generations since the best got better.
        stop_reason: why it is finished, or NONE while it is not.
    """

    objective: Objective
    queries: int = 0
    best_score: float = -math.inf
    best_generation: int = -1
    best_row: int = -1
    best_latent: Array | None = None
    stagnation: int = 0
    stop_reason: StopReason = StopReason.NONE

    @property
    def finished(self) -> bool:
        """Whether it dropped out of the batch."""
        return self.stop_reason is not StopReason.NONE


@dataclass(eq=False)
class Study:
    """The state of one search: a fold of events.

    Attributes:
        created: what it began with.
        budget: when to stop; may have been raised since.
        state, stop_reason, message: where it stands, and why.
        sequence: the last event folded in.
        generation: the open generation, counted from 0.
        targets: the K searches.
        active: indices of those in the open generation, ascending.
        rows: candidates of each active target in the open generation.
        told: (len(active), rows) bool: which have been measured.
        activations: (len(active), rows, U) float32 of those, nan elsewhere.
        opened: latents handed to clients for the open generation, (len(active), P, D).
        seconds: spent searching.
        failed_rows: measurements that were nan.
        spent: what was asked of the oracle.
        oracle_fingerprint, generator_fingerprint: the models that it goes on with.
    """

    created: Created
    targets: list[Target]
    budget: Budget
    state: StudyState = StudyState.PENDING
    stop_reason: StopReason = StopReason.NONE
    message: str = ""
    sequence: int = 1
    generation: int = 0
    active: tuple[int, ...] = ()
    rows: int = 0
    told: NDArray[np.bool_] = field(default_factory=lambda: np.zeros((0, 0), bool))
    activations: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0, 0), "f4"))
    opened: Array | None = None
    seconds: float = 0.0
    failed_rows: int = 0
    spent: Accounting = field(default_factory=Accounting)
    oracle_fingerprint: Fingerprint | None = None
    generator_fingerprint: Fingerprint | None = None

    # Reading

    @classmethod
    def begin(cls, created: Created) -> Study:
        """The study that `created` begins."""
        targets = [Target(build_objective(target)) for target in created.spec.targets]
        study = cls(created, targets, created.spec.budget)
        study.oracle_fingerprint = created.oracle_fingerprint
        study.generator_fingerprint = created.generator_fingerprint
        study._open_next(0)
        return study

    @classmethod
    def fold(cls, events: Iterable[Event]) -> Study:
        """The study that a whole journal tells of."""
        iterator = iter(events)
        first = next(iterator)
        if not isinstance(first, Created):
            raise InvalidInput(f"a journal begins with Created, got {type(first).__name__}")
        study = cls.begin(first)
        for event in iterator:
            study.apply(event)
        return study

    @property
    def spec(self) -> StudySpec:
        """What the caller asked for."""
        return self.created.spec

    @property
    def optimizer(self) -> OptimizerSpec:
        """What searches, all its parameters settled."""
        return self.created.optimizer or self.spec.optimizer

    @property
    def space(self) -> SpaceSpec:
        """The resolved latent space."""
        return self.created.space

    @property
    def population(self) -> int:
        """P."""
        return self.created.population

    @property
    def quantities(self) -> int:
        """U: quantities of the objective that reads most."""
        return max(len(target.objective.reads()) for target in self.targets)

    @property
    def search_rows(self) -> int:
        """Rows measured, over all targets."""
        return sum(target.queries for target in self.targets)

    @property
    def exhausted(self) -> bool:
        """Whether every target is finished."""
        return not self.active

    def scores(self, activations: NDArray[np.float32] | None = None) -> FloatArray:
        """(len(active), rows) scores of the open generation, nan where unknown or failed.

        Args:
            activations: to score instead of the study's own, of the same shape.
        """
        values = (self.activations if activations is None else activations).astype(np.float64)
        scores = np.full(values.shape[:2], np.nan)
        for position, index in enumerate(self.active):
            objective = self.targets[index].objective
            scores[position] = objective.score(values[position, :, : len(objective.reads())])
        return scores

    def merged(self, event: RowsTold) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Activations and `told` of the open generation as they will be after `event`."""
        position = {index: place for place, index in enumerate(self.active)}
        places = np.array([position[int(t)] for t in event.targets.numpy()], dtype=np.int64)
        rows = event.rows.numpy()
        activations, told = self.activations.copy(), self.told.copy()
        activations[places, rows] = event.activations.numpy()
        told[places, rows] = True
        return activations, told

    # Folding

    def apply(self, event: Event) -> None:
        """Folds one event in. The only way a study changes."""
        match event:
            case StateChanged():
                self.state, self.stop_reason = event.state, event.stop_reason
                self.message = event.message
                self.spent += event.spent or Accounting()
            case GenerationOpened():
                self.opened = event.latents.numpy()
            case RowsTold():
                self.activations, self.told = self.merged(event)
                self.spent += event.spent or Accounting()
            case GenerationClosed():
                self._close(event)
            case BudgetChanged():
                self._extend(event.budget)
            case Adopted():
                self.oracle_fingerprint = event.oracle_fingerprint
                self.generator_fingerprint = event.generator_fingerprint
            case Resumed():
                pass
            case Created():
                raise InvalidInput("a study begins only once")
        self.sequence += 1

    def fingerprint(self) -> bytes:
        """Everything the fold holds, as bytes: equal for equal studies."""
        return msgspec.msgpack.encode(
            {
                "created": self.created,
                "budget": self.budget,
                "models": [self.oracle_fingerprint, self.generator_fingerprint],
                "state": [self.state.value, self.stop_reason.value, self.message],
                "position": [self.sequence, self.generation, self.active, self.rows],
                "told": ArrayData.of(self.told.astype(np.uint8)),
                "activations": ArrayData.of(self.activations),
                "opened": None if self.opened is None else ArrayData.of(self.opened),
                "spent": [self.seconds, self.failed_rows, self.spent],
                "targets": [
                    [
                        t.queries,
                        t.best_score,
                        t.best_generation,
                        t.best_row,
                        t.stagnation,
                        t.stop_reason.value,
                        None if t.best_latent is None else ArrayData.of(t.best_latent),
                    ]
                    for t in self.targets
                ],
            }
        )

    def _close(self, event: GenerationClosed) -> None:
        scores = event.scores.numpy()
        latents = dict(zip(event.improved, event.best_latents.numpy(), strict=True))
        self.failed_rows += int(np.isnan(scores).sum())
        self.seconds += event.seconds
        for position, index in enumerate(self.active):
            target = self.targets[index]
            target.queries += self.rows
            target.stagnation += 1
            if index in latents:
                row = best_row_of(scores[position])
                assert row is not None  # an improved target has a finite score
                target.best_score = float(scores[position, row])
                target.best_generation, target.best_row = event.generation, row
                target.best_latent = latents[index].copy()
                target.stagnation = 0
            target.stop_reason = self._verdict(target)
        self._open_next(event.generation + 1)

    def _verdict(self, target: Target) -> StopReason:
        budget = self.budget
        if budget.target_score is not None and target.best_score >= budget.target_score:
            return StopReason.TARGET
        if target.queries >= budget.queries_per_target:
            return StopReason.BUDGET
        if budget.seconds is not None and self.seconds >= budget.seconds:
            return StopReason.TIME
        if budget.patience is not None and target.stagnation >= budget.patience:
            return StopReason.PATIENCE
        return StopReason.NONE

    def _extend(self, budget: Budget) -> None:
        self.budget = budget
        revived = False
        for target in self.targets:
            if target.stop_reason in (StopReason.BUDGET, StopReason.TIME):
                target.stop_reason = self._verdict(target)
                revived = revived or not target.finished
        if revived and self.exhausted:
            self.state, self.stop_reason = StudyState.PENDING, StopReason.NONE
            self._open_next(self.generation)

    def _open_next(self, generation: int) -> None:
        self.generation = generation
        self.active = tuple(i for i, target in enumerate(self.targets) if not target.finished)
        spent = max((self.targets[i].queries for i in self.active), default=0)
        left = self.budget.queries_per_target - spent
        self.rows = min(self.population, left) if self.active else 0
        self.told = np.zeros((len(self.active), self.rows), bool)
        self.activations = np.full(
            (len(self.active), self.rows, self.quantities), np.nan, np.float32
        )
        self.opened = None


def best_row_of(scores: FloatArray) -> int | None:
    """The first best row of (rows,) scores, or None where all failed."""
    return None if np.isnan(scores).all() else int(np.nanargmax(scores))
