"""Candidates that a client measures, and the result of sending its measurements."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from blackbox_am.core.types import StudyState
from blackbox_am.rpc import progress, tensors, times
from blackbox_am.v1 import study_service_pb2 as pb


@dataclass(frozen=True)
class Candidates:
    """Candidates to measure, leased to this caller for a limited time.

    Attributes:
        ids: a number for each candidate, for `Study.tell`.
        targets: the target of each candidate.
        latents: (N, D) float32, or int64 codes.
        stimuli: (N, *stimulus) if requested.
        generation: generation of the candidates.
        state: state of the study.
        done: whether the study has ended: there are and will be no candidates.
        retry_after: seconds after which to ask again if there are no candidates now.
        lease_id: id of the lease; see `Study.renew`.
        lease_seconds: duration of the lease.
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
    """The result of sending measurements.

    Attributes:
        accepted: number of new rows.
        repeated: rows that were received before, or whose generation was closed.
        state: state of the study afterwards.
        done: whether the study has ended.
        generation: the open generation afterwards.
        sequence: number of the last event afterwards.
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
