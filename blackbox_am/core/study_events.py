"""Events of a study as watchers see them, the same in this process and over the wire."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from blackbox_am.core.spec import Budget
from blackbox_am.core.types import StopReason, StudyState


@dataclass(frozen=True)
class StudyEvent:
    """An event.

    Attributes:
        sequence: its number in the study's journal, without gaps from 1.
        time: when it was written, UTC.
    """

    sequence: int
    time: datetime


@dataclass(frozen=True)
class Created(StudyEvent):
    """The study was created."""


@dataclass(frozen=True)
class StateChanged(StudyEvent):
    """The study moved to `state`; `stop_reason` and `message` say why."""

    state: StudyState
    stop_reason: StopReason
    message: str


@dataclass(frozen=True)
class GenerationOpened(StudyEvent):
    """The first of `candidates` candidates of a generation went out to clients."""

    generation: int
    candidates: int


@dataclass(frozen=True)
class RowsTold(StudyEvent):
    """`rows` measurements of a generation came in, `failed` of them nan."""

    generation: int
    rows: int
    failed: int


@dataclass(frozen=True)
class GenerationClosed(StudyEvent):
    """Every row of a generation is in.

    Attributes:
        generation: which, from 0.
        targets: the targets that took part.
        best_scores, mean_scores: of this generation alone, one a target; nan where every row
            failed.
        best_so_far: of this and all earlier generations, one a target; nan where nothing was
            measured yet. It never falls, also where generations are left out.
        total_rows: rows measured.
        seconds: how long it took.
    """

    generation: int
    targets: tuple[int, ...]
    best_scores: tuple[float, ...]
    mean_scores: tuple[float, ...]
    best_so_far: tuple[float, ...]
    total_rows: int
    seconds: float


@dataclass(frozen=True)
class BudgetChanged(StudyEvent):
    """The budget was raised to `budget`."""

    budget: Budget


@dataclass(frozen=True)
class Resumed(StudyEvent):
    """A server took the study up again, at `generation`.

    Attributes:
        generation: where it goes on.
        exact: whether nothing was lost on the way; otherwise `message` says what.
    """

    generation: int
    exact: bool
    message: str


@dataclass(frozen=True)
class Adopted(StudyEvent):
    """From here on the study is evaluated by another model or generator, as its owner asked.

    Attributes:
        oracle_fingerprint, generator_fingerprint: of those that evaluate it now.
        message: what differs from before.
    """

    oracle_fingerprint: str
    generator_fingerprint: str
    message: str
