"""Plain values that all layers use. Needs only numpy."""

from __future__ import annotations

import operator
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from blackbox_am.core.capability import Capability
from blackbox_am.core.natural import Standing

FloatArray = NDArray[np.float64]
ActivationArray = NDArray[np.float32]


class StudyState(Enum):
    """The state of a study."""

    PENDING = "pending"
    RUNNING = "running"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"
    """A state of a later server, which this client does not know."""

    @property
    def active(self) -> bool:
        """Whether the study needs measurements, now or after it is resumed."""
        return self in (StudyState.PENDING, StudyState.RUNNING, StudyState.PAUSED)


class StopReason(Enum):
    """Why a study, or one of its targets, stopped."""

    NONE = ""
    TARGET = "target"
    SUCCESS = "success"
    BUDGET = "budget"
    TIME = "time"
    PATIENCE = "patience"
    USER = "user"
    ORACLE = "oracle"


class CandidateId(NamedTuple):
    """The place of a proposed latent in its study; written as `study/generation/target/row` for
    people.

    On the wire a candidate is a number, see `core.candidate_ids`.
    """

    study: str
    generation: int
    target: int
    row: int

    def __str__(self) -> str:
        return f"{self.study}/{self.generation}/{self.target}/{self.row}"


@dataclass(frozen=True, slots=True)
class LayerInfo:
    """One readable layer of a model.

    Attributes:
        name: dotted module name.
        kind: `conv`, `linear`, `tokens`, `scores` or another word for the computation.
        shape: shape of its activation for one stimulus, such as (64, 8, 8).
        axes: the name of each axis of `shape`: `unit`, `height`, `width`, `token`, ...
        after_nonlinearity: whether the values are read after the layer's nonlinearity.
        labels: a name for each unit (class labels), or empty.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    axes: tuple[str, ...]
    after_nonlinearity: bool = False
    labels: tuple[str, ...] = ()

    @property
    def units(self) -> int:
        """Number of units: the length of the `unit` axis."""
        return self.shape[self.axes.index("unit")]


@dataclass(frozen=True, slots=True)
class Unaddressable:
    """A tensor or module of a model whose units cannot be addressed.

    Attributes:
        name: the name that a layer would have.
        reason: why, in a few words: `its output is no tensor`.
    """

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class OracleInfo:
    """The description of an oracle.

    Attributes:
        kind: the plug-in's name; for a wrapped oracle, that of the innermost oracle.
        capabilities: its capabilities.
        stimulus_shape: shape of one stimulus, such as (3, 32, 32).
        layers: its readable layers, in the order of the computation.
        deterministic: whether the same stimuli always give the same activations.
        batch_size: preferred number of rows in one call.
        wrappers: kinds of its wrappers, the outermost first.
        unaddressable: parts of the model that cannot be addressed, with the reason.
        notes: messages for the operator, such as which entry of a checkpoint has the weights.
        fingerprint: 32 hexadecimal digits that identify the model and its weights; empty if not
            computed. `Oracle.fingerprint` computes that of a local oracle.
    """

    kind: str
    capabilities: Capability
    stimulus_shape: tuple[int, ...]
    layers: tuple[LayerInfo, ...]
    deterministic: bool = True
    batch_size: int = 64
    wrappers: tuple[str, ...] = ()
    unaddressable: tuple[Unaddressable, ...] = ()
    notes: tuple[str, ...] = ()
    fingerprint: str = ""


@dataclass(frozen=True, slots=True)
class Estimate:
    """The mean of several measurements of one candidate.

    Attributes:
        mean: of the scores; nan if every measurement failed.
        standard_error: of the mean; None for fewer than two measurements.
        rows: number of measurements that did not fail.
    """

    mean: float
    standard_error: float | None = None
    rows: int = 0


@dataclass(frozen=True, slots=True)
class Recheck:
    """The best candidates of one target, measured again at the end of the search.

    The mean of the better of two is on average above its true score, by at most 0.56 standard
    errors if both are equally good.

    Attributes:
        source: the better of the two, whose mean is the target's best score.
        row: the candidate with the best score of the search.
        centre: the centre of the search, which is no candidate of it; None if it has none.
    """

    source: Literal["row", "centre"]
    row: Estimate
    centre: Estimate | None = None

    @property
    def best(self) -> Estimate:
        """The estimate of the better of the two."""
        return self.centre if self.source == "centre" and self.centre else self.row


@dataclass(frozen=True, slots=True)
class Best:
    """The best candidate of one target so far.

    Attributes:
        target: index of the target in its study.
        title: the objective as text.
        score: the objective's value, larger is better.
        candidate: the place of the candidate in the study.
        latent: (D,) float32, or int64 codes.
        stimulus: (*stimulus,) float32 in [0, 1] if it was rendered.
        natural: the place of the score among those of natural images; None without a baseline.
        natural_stimulus: the natural image with the highest score, if stimuli were rendered.
        recheck: the candidate measured again, of which `score` is the mean; None if it was not.
        values: (U,) float64, the measured quantities of the row: those that the target's objective
            reads, in its order and each once, then further ones of its criterion. None if the
            candidate is not a row of the search, such as the centre of the search.
    """

    target: int
    title: str
    score: float
    candidate: CandidateId
    latent: NDArray[np.generic]
    stimulus: NDArray[np.generic] | None = None
    natural: Standing | None = None
    natural_stimulus: NDArray[np.generic] | None = None
    recheck: Recheck | None = None
    values: FloatArray | None = None


@dataclass(frozen=True, slots=True)
class TargetProgress:
    """The progress of one target.

    Attributes:
        target: its index.
        title: the objective as text.
        queries: measured rows.
        best_score: None before the first measurement.
        stop_reason: why the target is finished; NONE if it is not.
        success_row: the row of the best candidate's generation that met the target's criterion;
            None if no row has met it.
        natural: the place of the best score among those of natural images; None without a baseline.
        recheck: the best candidates measured again, of which `best_score` is the mean; None if they
            were not.
        recheck_rows: rows that measured the best candidates again, within the budget.
    """

    target: int
    title: str
    queries: int
    best_score: float | None
    stop_reason: StopReason = StopReason.NONE
    success_row: int | None = None
    natural: Standing | None = None
    recheck: Recheck | None = None
    recheck_rows: int = 0

    @property
    def finished(self) -> bool:
        """Whether the target is finished."""
        return self.stop_reason is not StopReason.NONE


class Purpose(Enum):
    """What an oracle's row was measured for, if not for the search. The value is the field of
    `Accounting` that counts such rows.
    """

    PROBE = "probe_rows"
    BASELINE = "baseline_rows"
    RECHECK = "recheck_rows"
    CLEAN = "clean_rows"
    VERIFY = "verify_rows"
    SURPLUS = "surplus_rows"


_FOR_CANDIDATES = (
    "initialisation_rows",
    "loss_rows",
    "check_rows",
    "recheck_rows",
    "clean_rows",
    "verify_rows",
)
"""The counts of `Accounting` to which each measured candidate adds one row."""


@dataclass(frozen=True, slots=True)
class Accounting:
    """The account of an oracle's calls.

    `rows` is the sum of the rows of the search (those for its losses, initialisation and checks),
    of the rows for each `Purpose`, and of the repeated rows, except that the search also counts
    rows that a cache answered, and that short batches may be padded where rows have no price.

    Attributes:
        calls: number of calls, whether they succeeded or failed.
        rows: stimuli in these calls.
        retries: calls that were repeated because an answer was lost; included in `calls`.
        retried_rows: stimuli in these repeated calls.
        cache_hits: stimuli that a cache answered, so that no call was made.
        cost: total cost of the rows, in the currency of the operator.
        probe_rows: rows that were measured before the search to test whether the oracle is
            repeatable; included in `rows`.
        baseline_rows: rows of natural images; included in `rows`.
        recheck_rows: rows that measured the best candidates again; included in `rows`.
        clean_rows: rows of the clean inputs before an attack; included in `rows`.
        verify_rows: rows that measured the results of an attack afresh; included in `rows`.
        surplus_rows: rows in the same call as a row before them that met their target's criterion;
            they have no influence on the search. Included in `rows`.
        backward_rows: rows through which gradients were computed, each besides its forward pass;
            not included in `rows`.
        initialisation_rows: rows of the search before its first step, such as the first change of
            an attack, or a start.
        loss_rows: rows of the search whose scores lead it.
        check_rows: rows of the search that only test whether, or how far away, an attack succeeds.
    """

    calls: int = 0
    rows: int = 0
    retries: int = 0
    retried_rows: int = 0
    cache_hits: int = 0
    cost: float = 0.0
    probe_rows: int = 0
    baseline_rows: int = 0
    recheck_rows: int = 0
    clean_rows: int = 0
    verify_rows: int = 0
    surplus_rows: int = 0
    backward_rows: int = 0
    initialisation_rows: int = 0
    loss_rows: int = 0
    check_rows: int = 0

    def __add__(self, other: Accounting) -> Accounting:
        return Accounting(*map(operator.add, self._counts(), other._counts()))

    def __neg__(self) -> Accounting:
        return Accounting(*map(operator.neg, self._counts()))

    @property
    def rows_apart(self) -> int:
        """Rows for all purposes except the search."""
        return sum(getattr(self, purpose.value) for purpose in Purpose)

    @property
    def searched_rows(self) -> int:
        """Rows of the search, for all its purposes."""
        return self.initialisation_rows + self.loss_rows + self.check_rows

    def marked(self, purpose: Purpose | None) -> Accounting:
        """The same account, in which all rows that were not repeated are for `purpose`; None is the
        search.
        """
        if purpose is None:
            return self
        return replace(self, **{purpose.value: self.rows - self.retried_rows})

    def repeated(self) -> Accounting:
        """What to add to an account after these rows of it were forgotten: they then count as
        repeated rows, and no longer for the search or the purpose for which they were measured.
        """
        counts = {name: getattr(self, name) for name in _FOR_CANDIDATES}
        lost = {name: -count for name, count in counts.items()}
        return Accounting(retried_rows=sum(counts.values()), **lost)

    def _counts(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in self.__slots__)


@dataclass(frozen=True, slots=True)
class StudyProgress:
    """The progress of a study, in this process or on a server.

    Attributes:
        study_id: its id.
        state, stop_reason, message: the state and its reason.
        sequence: number of the last event.
        generation: the open generation, from 0.
        targets: progress of each target.
        queries_per_target: the budget.
        search_rows: measured rows of the search.
        failed_rows: number of these rows that are nan.
        seconds: duration of the search.
        optimizer: the optimizer that searches, for example the choice of `auto`.
        warning: a warning for the study's owner; often empty.
        spent: account of the oracle's calls.
        owner: on a server with tokens, the name of the caller to whom the study belongs.
    """

    study_id: str
    state: StudyState
    stop_reason: StopReason
    message: str
    sequence: int
    generation: int
    targets: tuple[TargetProgress, ...]
    queries_per_target: int
    search_rows: int
    failed_rows: int
    seconds: float
    optimizer: str = ""
    warning: str = ""
    spent: Accounting = Accounting()
    owner: str = ""


@dataclass(frozen=True, slots=True)
class GenerationScores:
    """The scores of one closed generation.

    Attributes:
        generation: number of the generation, from 0.
        targets: the active targets.
        scores: (len(targets), rows) float64, nan if a row failed.
        seconds: duration of the generation.
    """

    generation: int
    targets: tuple[int, ...]
    scores: FloatArray
    seconds: float
