"""What a client measures, and what became of its measurements."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from blackbox_am.core.types import StudyState


@dataclass(frozen=True)
class Candidates:
    """Candidates to measure, held for this caller for a while.

    Attributes:
        ids: `study/generation/target/row`, one a candidate.
        latents: (N, D) float32, or int64 codes.
        stimuli: (N, *stimulus) uint8, where they were asked for.
        state: of the study. Once it is not active, there is nothing more to come.
        retry_after: seconds after which to ask again, where there are no candidates now.
        lease_id: under which they are held; see `Study.renew`.
        lease_seconds: how long they are held.
    """

    ids: tuple[str, ...]
    latents: NDArray[Any]
    stimuli: NDArray[Any] | None
    state: StudyState
    retry_after: float
    lease_id: str
    lease_seconds: float

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def targets(self) -> tuple[int, ...]:
        """The target of each candidate."""
        return tuple(int(candidate.split("/")[2]) for candidate in self.ids)


@dataclass(frozen=True)
class TellResult:
    """What became of some measurements.

    Attributes:
        accepted: rows that were news.
        repeated: rows that had been told before, or whose generation was closed.
        state: of the study, afterwards.
        generation: the open one, afterwards.
        sequence: of the last event, afterwards.
    """

    accepted: int
    repeated: int
    state: StudyState
    generation: int
    sequence: int
