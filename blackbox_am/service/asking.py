"""Ask and Tell: candidates out, measurements in."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from google.protobuf.duration_pb2 import Duration
from numpy.typing import NDArray

from blackbox_am.core.space import build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.core.tensors import to_uint8
from blackbox_am.core.types import CandidateId, StudyState
from blackbox_am.errors import InvalidInput, ShapeMismatch
from blackbox_am.rpc import names, progress, tensors
from blackbox_am.service.backend import Backend
from blackbox_am.service.rendering import render
from blackbox_am.studies import decisions
from blackbox_am.studies.candidates import Generation
from blackbox_am.studies.decisions import ToldRows
from blackbox_am.studies.live import LiveStudy
from blackbox_am.studies.study import Study
from blackbox_am.v1 import study_service_pb2 as pb

ANSWER_BYTES = 3 * 2**20 + 2**19
"""An answer stays below this, so that default clients (4 MiB) take it."""
DEFAULT_LEASE_SECONDS = 60.0
LONGEST_LEASE_SECONDS = 86_400.0
RETRY_HELD_SECONDS = 1.0
RETRY_PAUSED_SECONDS = 5.0
LARGEST_INDEX = 2**31 - 1

Array = NDArray[Any]


def ask(backend: Backend, request: pb.AskRequest) -> pb.AskResponse:
    """Hands out candidates, under a lease.

    Raises:
        NotFound: where there is no such study.
        InvalidInput: for a bad number or lease, or stimuli where there is no generator.
    """
    study_id = names.study_id(request.name)
    seconds = lease_seconds(request.lease_duration)
    if request.max_candidates < 0:
        raise InvalidInput(
            f"max_candidates must be 0 or more, got {request.max_candidates}",
            field="max_candidates",
        )
    published = backend.registry.published(study_id)
    created, state = published.created, published.progress.state
    spec, dimension = created.spec, created.space.dimension
    stimulus = math.prod(created.stimulus_shape)
    if not state.active:
        return _nothing(created.space, state, 0.0)
    if request.with_stimuli and spec.generator is None:
        raise InvalidInput(
            "the study searches a bare space and has no generator: its latents are the stimuli; "
            "ask without with_stimuli",
            field="with_stimuli",
        )
    row_bytes = len(study_id) + 40 + 8 * dimension + (stimulus if request.with_stimuli else 0)
    limit = max(ANSWER_BYTES // row_bytes, 1)
    if request.max_candidates:
        limit = min(limit, request.max_candidates)

    def take(live: LiveStudy) -> tuple[pb.AskResponse, Array | None]:
        with live.reading() as study:
            generation, keys, lease_id = live.take(limit, seconds)
            if not keys:
                wait = _retry_after(live, study)
                return _nothing(study.space, study.state, wait), None
            latents = _latents(generation, keys)
            answer = pb.AskResponse(
                candidate_ids=[
                    str(CandidateId(study_id, generation.index, target, row))
                    for target, row in keys
                ],
                latents=tensors.to_proto(latents),
                lease_id=lease_id,
                lease_duration=_duration(seconds),
                state=progress.state_to_proto(study.state),
            )
            return answer, latents

    answer, latents = backend.registry.act(study_id, take)
    if request.with_stimuli and latents is not None and spec.generator is not None:
        targets = [CandidateId.parse(name).target for name in answer.candidate_ids]
        stimuli = render(backend.generator(spec.generator.name), latents, targets)
        answer.stimuli.CopyFrom(tensors.to_proto(to_uint8(stimuli)))
    return answer


def tell(backend: Backend, request: pb.TellRequest) -> pb.TellResponse:
    """Brings measurements: all of them, or none where something is wrong with one.

    Raises:
        NotFound: where there is no such study.
        InvalidInput: for candidates of another study, or never proposed; for infinities.
        ShapeMismatch: for activations of another shape.
        StudyClosed: where the study has ended.
    """
    study_id = names.study_id(request.name)
    candidates = np.array(
        [_candidate(text, study_id) for text in request.candidate_ids], np.int64
    ).reshape(-1, 3)
    activations = _activations(request, len(candidates))
    if not backend.registry.published(study_id).progress.state.active:
        # One that has ended is not taken up for this.
        _check(backend.registry.load(study_id), candidates, activations)

    def bring(live: LiveStudy) -> pb.TellResponse:
        accepted = repeated = 0
        with live.reading() as study:
            _check(study, candidates, activations)
            for generation, mine in _by_generation(candidates):
                told = live.tell(
                    generation, candidates[mine, 1], candidates[mine, 2], activations[mine]
                )
                accepted += told.accepted
                repeated += told.repeated
            return pb.TellResponse(
                accepted=accepted,
                repeated=repeated,
                state=progress.state_to_proto(study.state),
                generation=study.generation,
                sequence=study.sequence,
            )

    return backend.registry.act(study_id, bring)


def renew(backend: Backend, request: pb.RenewLeaseRequest) -> pb.RenewLeaseResponse:
    """Holds the candidates of a lease for longer.

    Raises:
        NotFound: where there is no such study, or no such lease any more.
        InvalidInput: for a bad duration.
    """
    study_id = names.study_id(request.name)
    seconds = lease_seconds(request.lease_duration)

    def hold(live: LiveStudy) -> int:
        with live.reading():
            return live.leases.renew(request.lease_id, seconds)

    return pb.RenewLeaseResponse(held=backend.registry.act(study_id, hold))


def lease_seconds(duration: Duration) -> float:
    """Seconds of a lease; the default where unset.

    Raises:
        InvalidInput: for a negative one, or one above a day.
    """
    seconds = duration.seconds + duration.nanos / 1e9
    if not 0 <= seconds <= LONGEST_LEASE_SECONDS:
        raise InvalidInput(
            f"lease_duration must be above 0 and at most {LONGEST_LEASE_SECONDS:g} s, "
            f"got {seconds:g} s",
            field="lease_duration",
        )
    return seconds or DEFAULT_LEASE_SECONDS


def _nothing(space: SpaceSpec, state: StudyState, retry_after: float) -> pb.AskResponse:
    codes = build_space(space).dtype is not None
    empty = np.zeros((0, space.dimension), np.int64 if codes else np.float32)
    return pb.AskResponse(
        latents=tensors.to_proto(empty),
        state=progress.state_to_proto(state),
        retry_after=_duration(retry_after),
    )


def _retry_after(live: LiveStudy, study: Study) -> float:
    if not study.state.active:
        return 0.0
    if study.state is StudyState.PAUSED:
        return RETRY_PAUSED_SECONDS
    return min(max(live.leases.next_expiry(), 0.05), RETRY_HELD_SECONDS)


def _latents(generation: Generation, keys: Sequence[tuple[int, int]]) -> Array:
    place = {target: position for position, target in enumerate(generation.targets)}
    places = [place[target] for target, _ in keys]
    rows = [row for _, row in keys]
    latents: Array = generation.latents[places, rows].cpu().numpy()
    return latents


def _candidate(text: str, study_id: str) -> tuple[int, int, int]:
    candidate = CandidateId.parse(text)
    if candidate.study != study_id:
        raise InvalidInput(
            f"candidate {text!r} belongs to another study, not to {study_id!r}",
            field="candidate_ids",
        )
    if max(candidate[1:]) > LARGEST_INDEX:
        raise InvalidInput(f"candidate {text!r} was never proposed", field="candidate_ids")
    return candidate.generation, candidate.target, candidate.row


def _activations(request: pb.TellRequest, rows: int) -> Array:
    if not rows and not request.HasField("activations"):
        return np.zeros((0, 0))
    array = tensors.from_proto(request.activations, field="activations")
    if array.dtype.kind != "f":
        raise ShapeMismatch(
            f"activations: expected float32 or float64, got {array.dtype.name}",
            field="activations",
        )
    if array.ndim != 2 or len(array) != rows:
        raise ShapeMismatch(
            f"activations: expected shape ({rows}, U), a row for each candidate, got {array.shape}",
            field="activations",
        )
    return array.astype(np.float64)


def _check(study: Study, candidates: Array, activations: Array) -> None:
    for generation, mine in _by_generation(candidates):
        targets = candidates[mine, 1]
        values = decisions.clients_values(study, targets, activations[mine])
        told = ToldRows(generation, targets, candidates[mine, 2], values)
        decisions.rows_told(study, told, study.wanted())


def _by_generation(candidates: Array) -> list[tuple[int, NDArray[np.bool_]]]:
    return [(int(g), candidates[:, 0] == g) for g in np.unique(candidates[:, 0])]


def _duration(seconds: float) -> Duration:
    duration = Duration()
    duration.FromNanoseconds(round(seconds * 1e9))
    return duration
