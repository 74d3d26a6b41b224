"""Plain values that cross every boundary. Needs numpy and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from blackbox_am.core.capability import Capability

FloatArray = NDArray[np.float64]
ActivationArray = NDArray[np.float32]


class StudyState(Enum):
    """Where a study is in its life."""

    PENDING = "pending"
    RUNNING = "running"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def active(self) -> bool:
        """Whether the study wants measurements, now or once resumed."""
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
    """One proposed latent: its place in a study, for people written `study/generation/target/row`.

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
        kind: `conv`, `linear`, `tokens`, `scores` or another word for what it computes.
        shape: shape of its activation for one stimulus, such as (64, 8, 8).
        axes: what each axis of `shape` is: `unit`, `height`, `width`, `token`, ...
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
    """A tensor or module of a model of which no unit can be addressed.

    Attributes:
        name: as a layer of that name would be called.
        reason: why, in a few words: `its output is no tensor`.
    """

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class OracleInfo:
    """What an oracle says of itself.

    Attributes:
        kind: the plug-in's name; of a wrapped oracle, that of the innermost.
        capabilities: what it can answer.
        stimulus_shape: shape of one stimulus, such as (3, 32, 32).
        layers: its readable layers, in the order of the computation.
        deterministic: whether the same stimuli always give the same activations.
        batch_size: rows it likes best in one call.
        wrappers: kinds of what is put around it, the outermost first.
        unaddressable: what of the model cannot be addressed, with the reason.
        notes: what the oracle did that its operator should know, such as which entry of a
            checkpoint was taken for the weights.
        fingerprint: 32 hexadecimal digits that stand for the model and its weights, where whoever
            describes it has found them out; `Oracle.fingerprint` does for a local one.
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
class Best:
    """The best candidate of one target so far.

    Attributes:
        target: index of the target in its study.
        title: its objective in words.
        score: its objective's value, larger is better.
        candidate: where it came from.
        latent: (D,) float32, or int64 codes.
        stimulus: (*stimulus,) float32 in [0, 1], where it was rendered.
    """

    target: int
    title: str
    score: float
    candidate: CandidateId
    latent: NDArray[np.generic]
    stimulus: NDArray[np.generic] | None = None


@dataclass(frozen=True, slots=True)
class TargetProgress:
    """How far one target is.

    Attributes:
        target: its index.
        title: its objective in words.
        queries: rows measured for it.
        best_score: None until something was measured.
        stop_reason: why it is finished, or NONE while it is not.
    """

    target: int
    title: str
    queries: int
    best_score: float | None
    stop_reason: StopReason = StopReason.NONE

    @property
    def finished(self) -> bool:
        """Whether it dropped out of the batch."""
        return self.stop_reason is not StopReason.NONE


@dataclass(frozen=True, slots=True)
class Accounting:
    """What was asked of an oracle, counted where it was asked.

    Attributes:
        calls: calls that were made, whatever came of them.
        rows: stimuli in these calls.
        retries: of the calls, those made again because an answer was lost.
        retried_rows: stimuli in those.
        cache_hits: stimuli that a cache answered, so that no call was made.
        cost: what the rows cost, in the currency of the operator.
        probe_rows: of the rows, those that were measured before the search, to see whether the
            oracle repeats itself.
    """

    calls: int = 0
    rows: int = 0
    retries: int = 0
    retried_rows: int = 0
    cache_hits: int = 0
    cost: float = 0.0
    probe_rows: int = 0

    def __add__(self, other: Accounting) -> Accounting:
        return Accounting(
            self.calls + other.calls,
            self.rows + other.rows,
            self.retries + other.retries,
            self.retried_rows + other.retried_rows,
            self.cache_hits + other.cache_hits,
            self.cost + other.cost,
            self.probe_rows + other.probe_rows,
        )

    def __neg__(self) -> Accounting:
        return Accounting(
            -self.calls,
            -self.rows,
            -self.retries,
            -self.retried_rows,
            -self.cache_hits,
            -self.cost,
            -self.probe_rows,
        )


@dataclass(frozen=True, slots=True)
class StudyProgress:
    """How far a study is: what people look at, whether it runs here or on a server.

    Attributes:
        study_id: its id.
        state, stop_reason, message: where it stands, and why.
        sequence: the last event folded in.
        generation: the open generation, from 0.
        targets: one entry a target.
        queries_per_target: the budget.
        search_rows: rows the search measured.
        failed_rows: of those, how many were nan.
        seconds: spent searching.
        optimizer: the one that searches: what `auto` chose, for one.
        warning: what its owner should know of it from the beginning; often empty.
        spent: what was asked of the oracle for it.
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


@dataclass(frozen=True, slots=True)
class GenerationScores:
    """The scores of one closed generation.

    Attributes:
        generation: which, from 0.
        targets: the targets that took part.
        scores: (len(targets), rows) float64, nan where a row failed.
        seconds: how long it took.
    """

    generation: int
    targets: tuple[int, ...]
    scores: FloatArray
    seconds: float
