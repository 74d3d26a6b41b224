"""Events of a study for watchers, the same in this process and over the wire."""

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
        time: of writing, UTC.
    """

    sequence: int
    time: datetime


@dataclass(frozen=True)
class Created(StudyEvent):
    """The study was created."""


@dataclass(frozen=True)
class StateChanged(StudyEvent):
    """The study changed to `state`; `stop_reason` and `message` give the reason."""

    state: StudyState
    stop_reason: StopReason
    message: str


@dataclass(frozen=True)
class GenerationOpened(StudyEvent):
    """A generation of `candidates` candidates was opened for clients; the first candidates were
    leased.
    """

    generation: int
    candidates: int


@dataclass(frozen=True)
class RowsTold(StudyEvent):
    """`rows` measurements of a generation were received, `failed` of them nan."""

    generation: int
    rows: int
    failed: int


@dataclass(frozen=True)
class GenerationClosed(StudyEvent):
    """A generation is complete: every row was measured.

    Attributes:
        generation: number of the generation, from 0.
        targets: the targets that took part.
        best_scores, mean_scores: of this generation alone, one for each target; nan if every row
            failed.
        best_so_far: of this and all earlier generations, one for each target; nan before the first
            measurement. Never decreases, also if events of generations are left out.
        total_rows: rows measured.
        seconds: duration of the generation.
        search_rows: rows that the search measured in this and all earlier generations; 0 if the
            journal is older than this field.
    """

    generation: int
    targets: tuple[int, ...]
    best_scores: tuple[float, ...]
    mean_scores: tuple[float, ...]
    best_so_far: tuple[float, ...]
    total_rows: int
    seconds: float
    search_rows: int = 0


@dataclass(frozen=True)
class BudgetChanged(StudyEvent):
    """The budget was raised to `budget`."""

    budget: Budget


@dataclass(frozen=True)
class Resumed(StudyEvent):
    """A server resumed the study at `generation`.

    Attributes:
        generation: the generation at which the study continues.
        exact: whether no state was lost; otherwise `message` describes the loss.
    """

    generation: int
    exact: bool
    message: str


@dataclass(frozen=True)
class Adopted(StudyEvent):
    """From this event on, another model or generator evaluates the study, at its owner's request.

    Attributes:
        oracle_fingerprint, generator_fingerprint: of the new oracle and generator.
        message: the differences from the earlier oracle and generator.
    """

    oracle_fingerprint: str
    generator_fingerprint: str
    message: str


@dataclass(frozen=True)
class BaselineMeasured(StudyEvent):
    """The oracle observed `images` natural images, once for all targets."""

    images: int


@dataclass(frozen=True)
class BestRechecked(StudyEvent):
    """The best candidates were measured again.

    Attributes:
        generation: number of the generation of the re-check.
        targets: the targets that took part.
        best_scores, standard_errors: of the re-measured scores, one for each target; nan if every
            row failed, or, for the error, if only one row was measured.
        total_rows: rows measured.
    """

    generation: int
    targets: tuple[int, ...]
    best_scores: tuple[float, ...]
    standard_errors: tuple[float, ...]
    total_rows: int
