"""The scores of a generation: computed once, all targets of one form together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blackbox_am.core.layout import form_of
from blackbox_am.core.observation import FAILURES, INFINITE, NOT_A_NUMBER, count_by_reason, failures
from blackbox_am.core.spec import CriterionSpec
from blackbox_am.core.types import Accounting, FloatArray
from blackbox_am.studies.events import RowsTold
from blackbox_am.studies.score_warnings import warning_of
from blackbox_am.studies.targets import Target

Bools = NDArray[np.bool_]

BLOCK_TARGETS = 1024
"""Number of targets whose natural images are scored at once."""


@dataclass(frozen=True)
class Measured:
    """The measurements of the open generation so far.

    Attributes:
        values: (A, P, U) float64 of the active targets, in the columns of each target's layout.
        told: (A, P) whether the row was measured.
        rendered: (A, P) false if the stimulus was not finite.
        spent: accounts that were journalled with the measurements.
        checksum: of the latents of the generation; empty before the first measurement.
    """

    values: FloatArray
    told: Bools
    rendered: Bools
    spent: Accounting = field(default_factory=Accounting)
    checksum: bytes = b""

    @classmethod
    def nothing(cls, targets: int, rows: int, columns: int) -> Measured:
        """The measurements of a generation before its first result."""
        shape = (targets, rows)
        values = np.full((*shape, columns), np.nan)
        return cls(values, np.zeros(shape, bool), np.ones(shape, bool))

    def copy(self) -> Measured:
        """A copy without shared memory."""
        return replace(
            self, values=self.values.copy(), told=self.told.copy(), rendered=self.rendered.copy()
        )

    def joined(self, places: NDArray[np.int64], event: RowsTold) -> Measured:
        """These measurements and those of `event`, which are written into the same arrays.

        Args:
            places: (N,) the positions of the event's targets among the active targets.
            event: the measurements.
        """
        rows = event.rows.numpy()
        self.values[places, rows] = event.values.numpy()
        self.told[places, rows] = True
        if event.unrendered is not None:
            self.rendered[places, rows] = event.unrendered.numpy() == 0
        spent = self.spent + (event.spent or Accounting())
        return replace(self, spent=spent, checksum=event.checksum or self.checksum)


@dataclass(frozen=True)
class Scored:
    """The scores of a generation.

    Attributes:
        scores: (A, P) float64, nan for rows that failed and rows that were not measured.
        told: (A, P) which rows were measured.
        failures: (A, P) uint8, for those that failed a position in `FAILURES`, from 1.
        met: (A, P) which rows met their target's criterion.
    """

    scores: FloatArray
    told: Bools
    failures: NDArray[np.uint8]
    met: Bools

    def failed(self) -> dict[str, int]:
        """The number of failed rows by reason."""
        return count_by_reason(self.failures)

    def best(self) -> FloatArray:
        """(A,) the best score of each target; nan if every row failed."""
        lowest = np.where(np.isnan(self.scores), -np.inf, self.scores).max(axis=1, initial=-np.inf)
        return np.where(lowest == -np.inf, np.nan, lowest)

    def mean(self) -> FloatArray:
        """(A,) the mean score of each target; nan if every row failed."""
        known = ~np.isnan(self.scores)
        total = np.where(known, self.scores, 0.0).sum(axis=1)
        return np.where(known.any(axis=1), total / np.maximum(known.sum(axis=1), 1), np.nan)

    def warning(self, generation: int) -> str:
        """A warning if a search cannot learn from these scores, or hardly; empty if it can."""
        return warning_of(self.scores, generation)


class Scorer:
    """Scores and judges rows of a study's targets.

    Targets whose objectives differ only in their quantities are scored in one go: there is no
    loop over targets.
    """

    def __init__(self, targets: Sequence[Target]) -> None:
        width = max(len(target.layout.quantities) for target in targets)
        sizes = np.array([len(target.layout.quantities) for target in targets])
        self._own = np.arange(width) < sizes[:, None]
        self._units = np.array([len(target.layout.units) for target in targets])
        self._objectives = _Groups(len(targets))
        self._criteria = _Groups(len(targets))
        for index, target in enumerate(targets):
            columns = target.layout.columns(target.objective.reads())
            form = form_of(target.objective.spec())
            self._objectives.add(index, (form, columns), target.objective.score, columns)
            if target.criterion is not None:
                columns = target.layout.columns(target.criterion.reads())
                key = (_criterion_form(target.criterion.spec()), columns)
                self._criteria.add(index, key, target.criterion.met, columns)

    def own(self, targets: NDArray[np.integer[Any]]) -> Bools:
        """(N, U) which columns of rows of `targets` (N,) hold a quantity."""
        own: Bools = self._own[targets]
        return own

    @property
    def judges(self) -> bool:
        """Whether a target has a success criterion."""
        return bool(self._criteria)

    def met(self, targets: NDArray[np.int64], values: FloatArray, rendered: Bools) -> Bools:
        """(N,) bool, the rows of `targets` (N,) that meet the criterion of their target.

        Args:
            targets: of this study.
            values: (N, U) float64, in the columns of each target's layout.
            rendered: (N,) false if the stimulus was not finite.
        """
        met = self._criteria.apply(targets, values[:, None], np.bool_, False)[:, 0]
        if not met.any():
            return met
        rows = np.flatnonzero(met)
        targets, values, rendered = targets[rows], values[rows, None], rendered[rows, None]
        codes = failures(values, rendered, self._own[targets][:, None])
        with np.errstate(all="ignore"):
            scores = self._objectives.apply(targets, values, np.float64, np.nan)
        met[rows] = _with_scores(codes, scores)[:, 0] == 0
        return met

    def with_units(self, targets: NDArray[np.int64], activations: FloatArray) -> FloatArray:
        """(N, U) values of rows of `targets` (N,), of which only the units were measured.

        Args:
            targets: of this study.
            activations: (N, units), each row's own units, then anything.
        """
        values = np.full((len(targets), self._own.shape[1]), np.nan)
        units = activations.shape[1]
        mine = np.arange(units) < self._units[targets][:, None]
        values[:, :units] = np.where(mine, activations, np.nan)
        return values

    def score_given(
        self, targets: Sequence[Target], quantities: Sequence[str], values: FloatArray
    ) -> FloatArray:
        """(K, N) scores of stimuli that belong to no target, nan if a measurement failed.

        Args:
            targets: all K targets of the study.
            quantities: names of the Q quantities of all targets.
            values: (N, Q) float64.
        """
        places = {name: column for column, name in enumerate(quantities)}
        scores = np.empty((len(targets), len(values)))
        for start in range(0, len(targets), BLOCK_TARGETS):
            block = range(start, min(start + BLOCK_TARGETS, len(targets)))
            own = np.full((len(block), len(values), self._own.shape[1]), np.nan)
            for index in block:
                columns = [places[str(name)] for name in targets[index].layout.quantities]
                own[index - start, :, : len(columns)] = values[:, columns]
            shape = own.shape[:2]
            measured = Measured(own, np.ones(shape, bool), np.ones(shape, bool))
            scores[start : start + len(block)] = self.score(block, measured).scores
        return scores

    def score(self, active: Sequence[int], measured: Measured) -> Scored:
        """Scores of the rows of the active targets."""
        values, told = measured.values, measured.told
        mine = np.asarray(active, np.int64)
        codes = failures(values, measured.rendered, self._own[mine][:, None, :])
        with np.errstate(all="ignore"):  # a row whose score overflows is counted as failed
            scores = self._objectives.apply(mine, values, np.float64, np.nan)
        codes = _with_scores(codes, scores)
        failed = (codes > 0) & told
        met = self._criteria.apply(mine, values, np.bool_, False)
        return Scored(
            np.where(told & ~failed, scores, np.nan),
            told,
            np.where(told, codes, 0).astype(np.uint8),
            met & told & ~failed,
        )


class _Groups:
    """Functions of rows, each for the targets that share it."""

    def __init__(self, targets: int) -> None:
        self._numbers: dict[object, int] = {}
        self._functions: list[tuple[Callable[[Any], Any], list[int]]] = []
        self._group = np.full(targets, -1)

    def __bool__(self) -> bool:
        return bool(self._functions)

    def add(
        self, target: int, key: object, function: Callable[[Any], Any], columns: tuple[int, ...]
    ) -> None:
        number = self._numbers.setdefault(key, len(self._numbers))
        if number == len(self._functions):
            self._functions.append((function, list(columns)))
        self._group[target] = number

    def apply(
        self, targets: NDArray[np.int64], values: FloatArray, dtype: Any, fill: Any
    ) -> NDArray[Any]:
        """(A, P) results for the rows of `targets`; `fill` for targets that have no function."""
        found = np.full(values.shape[:2], fill, dtype)
        group = self._group[targets]
        for number, (function, columns) in enumerate(self._functions):
            rows = np.flatnonzero(group == number)
            if len(rows):
                found[rows] = function(values[rows][..., columns])
        return found


def _with_scores(codes: NDArray[np.uint8], scores: FloatArray) -> NDArray[np.uint8]:
    """`codes`, and why rows of finite quantities have no finite score."""
    codes = np.where((codes == 0) & np.isinf(scores), 1 + FAILURES.index(INFINITE), codes)
    codes = np.where((codes == 0) & np.isnan(scores), 1 + FAILURES.index(NOT_A_NUMBER), codes)
    return codes.astype(np.uint8)


def _criterion_form(spec: CriterionSpec) -> tuple[object, ...]:
    """A key that is equal for criteria that differ only in their quantities."""
    parameters = repr(sorted(spec.parameters.items()))
    terms = tuple(_criterion_form(term) for term in spec.terms)
    return (spec.kind, len(spec.quantities), parameters, terms)
