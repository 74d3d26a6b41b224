"""The study: a pure state machine without clock, disk, network or model.

Only `apply` changes a study, and its only argument is an event: the state is the fold of the
journal. `decisions` turns requests into events.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from blackbox_am.core.identity import Fingerprint
from blackbox_am.core.spec import ArrayData, Budget, OptimizerSpec, SpaceSpec, StudySpec
from blackbox_am.core.types import Accounting, StopReason, StudyState
from blackbox_am.errors import InvalidInput
from blackbox_am.studies.events import (
    Adopted,
    BaselineMeasured,
    BudgetChanged,
    Created,
    Event,
    GenerationClosed,
    GenerationOpened,
    OracleProbed,
    Rechecked,
    Resumed,
    RowsTold,
    StateChanged,
)
from blackbox_am.studies.rechecks import recheck_of, recheck_rows
from blackbox_am.studies.scoring import Bools, Measured, Scored, Scorer
from blackbox_am.studies.targets import Target, targets_of

Array = NDArray[Any]


@dataclass(eq=False)
class Study:
    """The state of one search: a fold of events.

    Attributes:
        created: the first event.
        budget: the current budget, which may have been raised.
        state, stop_reason, message: the state and its reason.
        sequence: number of the last folded event.
        generation: the open generation, counted from 0.
        targets: the K searches.
        active: indices of the targets in the open generation, ascending.
        limits: (len(active),) rows of the open generation that the budget allows for each target.
        measured: the measurements of the open generation.
        opened: latents that were given to clients for the open generation, (len(active), P, D).
        opened_wanted: (len(active), P) bool, the rows of `opened` to measure.
        opened_roles: (len(active), P) uint8, their roles; None if their scores lead the search.
        seconds: duration of the search.
        failed: number of failed rows by reason.
        warning: a warning about the scores of the last generation; empty without a problem.
        spent: account of the oracle's calls.
        rechecking: whether the open generation measures the best candidates again.
        probed: whether the repeatability of the oracle was measured.
        probe_answers: (R, U) answers of a probe that is not complete; None without one.
        natural: (K, N) scores of natural images; None if there is no baseline, or none yet.
        oracle_fingerprint, generator_fingerprint: the models with which the study continues.
        scorer: the object that computes scores.
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
    limits: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    measured: Measured = field(default_factory=lambda: Measured.nothing(0, 0, 0))
    opened: Array | None = None
    opened_wanted: Bools | None = None
    opened_roles: NDArray[np.uint8] | None = None
    seconds: float = 0.0
    failed: dict[str, int] = field(default_factory=dict)
    warning: str = ""
    spent: Accounting = field(default_factory=Accounting)
    rechecking: bool = False
    probed: bool = False
    probe_answers: NDArray[np.float64] | None = None
    natural: NDArray[np.float64] | None = None
    oracle_fingerprint: Fingerprint | None = None
    generator_fingerprint: Fingerprint | None = None

    def __post_init__(self) -> None:
        self.scorer = Scorer(self.targets)

    @classmethod
    def begin(cls, created: Created) -> Study:
        """The study after its first event, `created`."""
        study = cls(created, targets_of(created.spec, created.input_digests), created.spec.budget)
        study.spent = created.spent or Accounting()
        study.oracle_fingerprint = created.oracle_fingerprint
        study.generator_fingerprint = created.generator_fingerprint
        study._open_next(0)
        return study

    @classmethod
    def fold(cls, events: Iterable[Event]) -> Study:
        """The study that follows from a whole journal."""
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
        """The caller's specification."""
        return self.created.spec

    @property
    def optimizer(self) -> OptimizerSpec:
        """The optimizer that searches, with all parameters resolved."""
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
    def rows(self) -> int:
        """Number of rows of each target in the open generation: P, or those of the re-check."""
        return int(self.measured.told.shape[1])

    @property
    def kept_rows(self) -> int:
        """Number of rows of each target that the budget keeps for the re-check."""
        return recheck_rows(self.budget, self.created.noisy, len(self.targets), self.space)

    @property
    def units(self) -> int:
        """The largest number of measured units of the model over all targets."""
        return max(len(target.layout.units) for target in self.targets)

    @property
    def quantities(self) -> int:
        """U: the largest number of measured quantities over all targets."""
        return max(len(target.layout.quantities) for target in self.targets)

    @property
    def search_rows(self) -> int:
        """Number of measured rows of all targets."""
        return sum(target.queries for target in self.targets)

    @property
    def untouched(self) -> bool:
        """Whether no candidate of the open generation was given out or measured yet."""
        return not self.generation and self.opened is None and not self.measured.told.any()

    @property
    def failed_rows(self) -> int:
        """Number of measured rows without a score."""
        return sum(self.failed.values())

    @property
    def exhausted(self) -> bool:
        """Whether every target is finished."""
        return not self.active

    def wanted(self, mask: Bools | None = None) -> Bools:
        """(len(active), P) bool, the rows of the open generation to measure: the rows that the
        optimizer requests and the budget allows.

        Args:
            mask: (len(active), P) bool, rows that the optimizer requests; None for all rows.
        """
        if self.opened_wanted is not None:
            return self.opened_wanted
        shape = (len(self.active), self.rows)
        asked = np.ones(shape, bool) if mask is None else mask
        return asked & (asked.cumsum(axis=1) <= self.limits[:, None])

    def scored(self, measured: Measured | None = None) -> Scored:
        """The scores of the open generation.

        Args:
            measured: measurements to score instead of the present measurements.
        """
        return self.scorer.score(self.active, measured or self.measured)

    def merged(self, event: RowsTold) -> Measured:
        """The measurements of the open generation as they will be after `event`."""
        return self.measured.copy().joined(self.places(event.targets.numpy()), event)

    def places(self, targets: Array) -> NDArray[np.int64]:
        """(N,) the position of each of `targets` among the active targets; -1 for other targets."""
        if not self.active:
            return np.full(len(targets), -1)
        active = np.asarray(self.active, np.int64)
        places = np.searchsorted(active, targets).clip(max=len(active) - 1)
        return np.where(active[places] == targets, places, -1)

    def apply(self, event: Event) -> None:
        """Folds one event into the study. Only this method changes a study."""
        if isinstance(event, Created):
            raise InvalidInput("a study begins only once")
        match event:
            case StateChanged():
                self.state, self.stop_reason = event.state, event.stop_reason
                self.message = event.message
                self.spent += event.spent or Accounting()
                self.probe_answers = event.answered(self.probe_answers)
            case GenerationOpened():
                self.opened = event.latents.numpy()
                self.opened_wanted = event.wanted.numpy() > 0
                self.opened_roles = None if event.roles is None else event.roles.numpy()
            case RowsTold():
                self.measured = self.measured.joined(self.places(event.targets.numpy()), event)
                self.spent += event.spent or Accounting()
            case GenerationClosed():
                self._close(event)
            case Rechecked():
                self._check(event)
            case BudgetChanged():
                self._extend(event.budget)
            case OracleProbed() | BaselineMeasured() | Adopted():
                self._meet(event)
            case Resumed() if not event.exact and self.opened is None:  # other candidates
                self.measured = Measured.nothing(len(self.active), self.rows, self.quantities)
        self.sequence += 1

    def fingerprint(self) -> bytes:
        """All data of the fold as bytes: equal for equal studies."""
        return msgspec.msgpack.encode(
            {
                "created": self.created,
                "budget": self.budget,
                "natural": None if self.natural is None else ArrayData.of(self.natural),
                "probe": None if self.probe_answers is None else ArrayData.of(self.probe_answers),
                "models": [self.probed, self.oracle_fingerprint, self.generator_fingerprint],
                "state": [self.state.value, self.stop_reason.value, self.message],
                "rechecking": self.rechecking,
                "position": [self.sequence, self.generation, self.active, self.limits.tolist()],
                "told": ArrayData.of(self.measured.told.astype(np.uint8)),
                "rendered": ArrayData.of(self.measured.rendered.astype(np.uint8)),
                "values": ArrayData.of(self.measured.values),
                "checksum": [self.measured.spent, self.measured.checksum],
                "opened": None if self.opened is None else ArrayData.of(self.opened),
                "roles": None if self.opened_roles is None else ArrayData.of(self.opened_roles),
                "wanted": ArrayData.of(self.wanted().astype(np.uint8)),
                "spent": [self.seconds, self.failed, self.warning, self.spent],
                "targets": [target.plain() for target in self.targets],
            }
        )

    def _meet(self, event: OracleProbed | BaselineMeasured | Adopted) -> None:
        """Folds what became known of the models."""
        if isinstance(event, Adopted):
            self.oracle_fingerprint = event.oracle_fingerprint
            self.generator_fingerprint = event.generator_fingerprint
            self.probe_answers = None
            return
        self.spent += event.spent
        if isinstance(event, BaselineMeasured):
            values = event.values.numpy()
            self.natural = self.scorer.score_given(self.targets, event.quantities, values)
            if event.start is not None:
                self.created = msgspec.structs.replace(
                    self.created,
                    start=event.start,
                    optimizer=event.optimizer,
                    population=event.population,
                    batch_size=event.batch_size,
                )
                self._open_next(self.generation)
            return
        self.probed, self.probe_answers = True, None
        self.created = msgspec.structs.replace(
            self.created,
            noisy=event.noisy,
            optimizer=event.optimizer,
            population=event.population,
            batch_size=event.batch_size,
            warning=event.warning,
        )
        self._open_next(self.generation)

    def _close(self, event: GenerationClosed) -> None:
        measured = event.measured.numpy()
        for reason, count in event.failed.items():
            self.failed[reason] = self.failed.get(reason, 0) + count
        self.seconds += event.seconds
        self.warning = event.warning
        for position, index in enumerate(self.active):
            self.targets[index].queries += int(measured[position])
            if measured[position]:
                self.targets[index].stagnation += 1
        rows, scores = event.best_rows.numpy(), event.best_row_scores.numpy()
        values = self.measured.values[self.places(np.array(event.improved, np.int64)), rows]
        for position, index in enumerate(event.improved):
            target = self.targets[index]
            target.best_score = float(scores[position])
            target.best_generation, target.best_row = event.generation, int(rows[position])
            target.best_latent = event.best_latents.numpy()[position].copy()
            target.best_values = values[position, : len(target.layout.quantities)].copy()
            target.stagnation = 0
            if index in event.succeeded:
                target.success_row = target.best_row
        for index in self.active:
            self.targets[index].stop_reason = self._verdict(self.targets[index])
        self._open_next(event.generation + 1)

    def _check(self, event: Rechecked) -> None:
        self.seconds += event.seconds
        scores, measured = event.scores.numpy(), event.measured.numpy()
        for position, index in enumerate(self.active):
            target = self.targets[index]
            target.recheck_rows += int(measured[position])
            target.checked_queries = target.queries
            target.recheck = recheck_of(scores[position], event.centre_rows)
            target.recheck_place = target.best_generation, target.best_row
            target.recheck_latent = target.best_latent
            if target.recheck and target.recheck.source == "centre" and event.centres is not None:
                target.recheck_place = event.generation, 0
                target.recheck_latent = event.centres.numpy()[position].copy()
        self._revive()  # the budget may have been raised meanwhile
        self._open_next(event.generation + 1)

    def _verdict(self, target: Target) -> StopReason:
        budget = self.budget
        if target.success_row >= 0:
            return StopReason.SUCCESS
        if budget.target_score is not None and target.best_score >= budget.target_score:
            return StopReason.TARGET
        if target.queries >= self._search_limit(target):
            return StopReason.BUDGET
        if budget.seconds is not None and self.seconds >= budget.seconds:
            return StopReason.TIME
        if budget.patience is not None and target.stagnation >= budget.patience:
            return StopReason.PATIENCE
        return StopReason.NONE

    def _search_limit(self, target: Target) -> int:
        """Number of rows that the search of `target` may measure in all."""
        return self.budget.queries_per_target - target.recheck_rows - self.kept_rows

    def _extend(self, budget: Budget) -> None:
        self.budget = budget
        if self.rechecking:
            return
        if self._revive() and self.exhausted:
            self.state, self.stop_reason = StudyState.PENDING, StopReason.NONE
            self._open_next(self.generation)

    def _revive(self) -> bool:
        """Let targets go on that the present budget allows to. Returns whether there are any."""
        revived = False
        for target in self.targets:
            if target.finished and target.stop_reason is not StopReason.SUCCESS:
                target.stop_reason = self._verdict(target)
                revived = revived or not target.finished
        return revived

    def _open_next(self, generation: int) -> None:
        self.generation, rows = generation, self.population
        self.active = tuple(i for i, target in enumerate(self.targets) if not target.finished)
        left = [self._search_limit(self.targets[i]) - self.targets[i].queries for i in self.active]
        self.rechecking = not self.active and bool(self._unchecked())
        if self.rechecking:
            self.active, rows = self._unchecked(), self.kept_rows
            left = [rows] * len(self.active)
        self.limits = np.asarray(left, np.int64).clip(max=rows)
        self.measured = Measured.nothing(len(self.active), rows, self.quantities)
        self.opened = self.opened_wanted = self.opened_roles = None

    def _unchecked(self) -> tuple[int, ...]:
        """The targets to measure again; one that met its criterion keeps the row that met it."""
        return tuple(
            index
            for index, target in enumerate(self.targets)
            if self.kept_rows
            and target.best_latent is not None
            and target.queries > target.checked_queries
            and target.stop_reason is not StopReason.SUCCESS
        )
