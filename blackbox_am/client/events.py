"""What happens to a study, as `Study.watch` yields it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from blackbox_am.core.spec import Budget
from blackbox_am.core.types import StopReason, StudyState
from blackbox_am.errors import ServerFailed
from blackbox_am.rpc import progress, specs
from blackbox_am.v1 import study_pb2 as pb


@dataclass(frozen=True)
class StudyEvent:
    """Something that happened.

    Attributes:
        sequence: its place in the study's journal, gap-free from 1.
        time: when it was written, UTC.
    """

    sequence: int
    time: datetime


@dataclass(frozen=True)
class Created(StudyEvent):
    """The study began."""


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
        best_scores, mean_scores: of the generation, one a target; nan where every row failed.
        total_rows: rows measured.
        seconds: how long it took.
    """

    generation: int
    targets: tuple[int, ...]
    best_scores: tuple[float, ...]
    mean_scores: tuple[float, ...]
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


def from_proto(message: pb.StudyEvent) -> StudyEvent:
    """The event in `message`."""
    base = (message.sequence, progress.time_from_proto(message.time))
    match message.WhichOneof("event"):
        case "created":
            return Created(*base)
        case "state_changed":
            change = message.state_changed
            return StateChanged(
                *base,
                progress.state_from_proto(change.state),
                progress.stop_reason_from_proto(change.stop_reason),
                change.message,
            )
        case "generation_opened":
            opened = message.generation_opened
            return GenerationOpened(*base, opened.generation, opened.candidates)
        case "rows_told":
            told = message.rows_told
            return RowsTold(*base, told.generation, told.rows, told.failed)
        case "generation_closed":
            closed = message.generation_closed
            return GenerationClosed(
                *base,
                closed.generation,
                tuple(closed.targets),
                tuple(closed.best_scores),
                tuple(closed.mean_scores),
                closed.total_rows,
                closed.seconds,
            )
        case "budget_changed":
            return BudgetChanged(*base, specs.budget_from_proto(message.budget_changed.budget))
        case "resumed":
            resumed = message.resumed
            return Resumed(*base, resumed.generation, resumed.exact, resumed.message)
    raise ServerFailed(
        f"event {message.sequence} is of a kind this client does not know; update the client"
    )
