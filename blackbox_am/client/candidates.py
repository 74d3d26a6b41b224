"""What a client measures, and what became of its measurements."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from blackbox_am.core.types import StudyState
from blackbox_am.rpc import progress, tensors, times
from blackbox_am.v1 import study_service_pb2 as pb


@dataclass(frozen=True)
class Candidates:
    """Candidates to measure, held for this caller for a while.

    Attributes:
        ids: a number for each candidate, for `Study.tell`.
        targets: the target of each candidate.
        latents: (N, D) float32, or int64 codes.
        stimuli: (N, *stimulus), where they were asked for.
        generation: that they are of.
        state: of the study.
        done: whether the study has ended: there are no candidates, and will be none.
        retry_after: seconds after which to ask again, where there are no candidates now.
        lease_id: under which they are held; see `Study.renew`.
        lease_seconds: how long they are held.
    """

    ids: tuple[int, ...]
    targets: tuple[int, ...]
    latents: NDArray[Any]
    stimuli: NDArray[Any] | None
    generation: int
    state: StudyState
    done: bool
    retry_after: float
    lease_id: str
    lease_seconds: float

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class TellResult:
    """What became of some measurements.

    Attributes:
        accepted: rows that were news.
        repeated: rows that had been told before, or whose generation was closed.
        state: of the study, afterwards.
        done: whether the study has ended.
        generation: the open one, afterwards.
        sequence: of the last event, afterwards.
    """

    accepted: int
    repeated: int
    state: StudyState
    done: bool
    generation: int
    sequence: int


def from_proto(answer: pb.AskResponse) -> Candidates:
    """The candidates in an answer to Ask."""
    stimuli = None
    if answer.HasField("stimuli"):
        stimuli = tensors.from_proto(answer.stimuli, field="stimuli").copy()
    return Candidates(
        tuple(answer.candidate_ids),
        tuple(answer.targets),
        tensors.from_proto(answer.latents, field="latents").copy(),
        stimuli,
        answer.generation,
        progress.state_from_proto(answer.state),
        answer.done,
        times.duration_from_proto(answer.retry_after),
        answer.lease_id,
        times.duration_from_proto(answer.lease_duration),
    )
