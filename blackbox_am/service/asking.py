"""Ask and Tell: sending of candidates and receipt of measurements."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from google.protobuf.duration_pb2 import Duration
from numpy.typing import NDArray

from blackbox_am.core import candidate_ids
from blackbox_am.core.space import build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.core.types import StudyState
from blackbox_am.errors import InvalidInput, ShapeMismatch
from blackbox_am.evaluation.rendering import render
from blackbox_am.rpc import names, progress, tensors, times
from blackbox_am.service import models
from blackbox_am.service.backend import Backend
from blackbox_am.service.stimuli import as_dtype, check_stimulus_dtype
from blackbox_am.studies import decisions, telling
from blackbox_am.studies.candidates import Generation
from blackbox_am.studies.decisions import ToldRows
from blackbox_am.studies.leases import Holder
from blackbox_am.studies.live import LiveStudy
from blackbox_am.studies.study import Study
from blackbox_am.v1 import study_service_pb2 as pb

ID_BYTES = 16
"""Bytes of a candidate's id and target in an answer."""
ANSWER_BYTES = 3 * 2**20 + 2**19
"""Largest size of an answer in bytes, so that clients with the default limit (4 MiB) accept it."""
DEFAULT_LEASE_SECONDS = 60.0
LONGEST_LEASE_SECONDS = 86_400.0
RETRY_HELD_SECONDS = 1.0
RETRY_PAUSED_SECONDS = 5.0
LONGEST_CLIENT_ID = 128

Array = NDArray[Any]


def ask(backend: Backend, request: pb.AskRequest) -> pb.AskResponse:
    """Leases candidates to a client.

    Raises:
        NotFound: if the study does not exist.
        InvalidInput: for an invalid number, lease or dtype, or for stimuli of a study without a
            generator.
    """
    study_id = names.study_id(request.name)
    seconds = lease_seconds(request.lease_duration)
    dtype = check_stimulus_dtype(request.stimulus_dtype)
    _check_request(request)
    published = backend.registry.published(study_id)
    created, state = published.created, published.progress.state
    spec, shape = created.spec, created.stimulus_shape
    if request.with_stimuli and spec.generator is None:
        raise InvalidInput(
            "the study searches a bare space and has no generator: its latents are the stimuli; "
            "ask without with_stimuli",
            field="with_stimuli",
        )
    empty = np.zeros((0, *shape), dtype) if request.with_stimuli else None
    if not state.active:
        return _nothing(created.space, state, 0.0, empty)
    row_bytes = ID_BYTES + 8 * created.space.dimension
    row_bytes += 0 if empty is None else math.prod(shape) * empty.itemsize
    limit = max(ANSWER_BYTES // row_bytes, 1)
    if request.max_candidates:
        limit = min(limit, request.max_candidates)

    def take(live: LiveStudy) -> tuple[pb.AskResponse, Array | None, Array | None]:
        holder = Holder(request.client_id, request.session_id)
        with live.reading() as study:
            models.check_asked(backend, live)
            generation, keys, lease_id = live.take(
                limit, seconds, holder, stimuli=request.with_stimuli
            )
            if not keys:
                wait = _retry_after(live, study)
                return _nothing(created.space, study.state, wait, empty), None, None
            stimuli = live.rendered(generation, keys) if request.with_stimuli else None
            latents = _latents(generation, keys)
            targets, rows = [target for target, _ in keys], [row for _, row in keys]
            answer = pb.AskResponse(
                candidate_ids=candidate_ids.pack(generation.index, targets, rows).tolist(),
                targets=targets,
                generation=generation.index,
                latents=tensors.to_proto(latents),
                lease_id=lease_id,
                lease_duration=times.duration_to_proto(seconds, "lease_duration"),
                state=progress.state_to_proto(study.state),
            )
            return answer, latents, stimuli

    answer, latents, stimuli = backend.registry.act(study_id, take)
    generator = backend.generator_of(spec) if request.with_stimuli else None
    if generator is not None and latents is not None:
        if stimuli is None:  # the candidates were rendered for an earlier request
            stimuli = render(generator, latents, answer.targets)
        answer.stimuli.CopyFrom(tensors.to_proto(as_dtype(stimuli, dtype)))
    return answer


def tell(backend: Backend, request: pb.TellRequest) -> pb.TellResponse:
    """Adds measurements: all measurements, or none if one is invalid.

    Raises:
        NotFound: if the study does not exist.
        InvalidInput: for candidates of another study, or that were never proposed; for infinities.
        ShapeMismatch: for activations of another shape.
        StudyClosed: if the study has ended.
    """
    study_id = names.study_id(request.name)
    candidates = np.stack(candidate_ids.unpack(request.candidate_ids), axis=1)
    kind, values = _measured(request, len(candidates))
    if not backend.registry.published(study_id).progress.state.active:
        # An ended study is not loaded for this.
        _checked(backend.registry.load(study_id), candidates, values, kind)

    def bring(live: LiveStudy) -> pb.TellResponse:
        accepted = repeated = 0
        with live.reading() as study:
            activations = _checked(study, candidates, values, kind)
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
                done=not study.state.active,
            )

    return backend.registry.act(study_id, bring)


def renew(backend: Backend, request: pb.RenewLeaseRequest) -> pb.RenewLeaseResponse:
    """Extends a lease of candidates.

    Raises:
        NotFound: if the study does not exist, or no such lease any more.
        InvalidInput: for a bad duration.
    """
    study_id = names.study_id(request.name)
    seconds = lease_seconds(request.lease_duration)

    def hold(live: LiveStudy) -> int:
        with live.reading():
            return live.leases.renew(request.lease_id, seconds)

    return pb.RenewLeaseResponse(held=backend.registry.act(study_id, hold))


def lease_seconds(duration: Duration) -> float:
    """Seconds of a lease; the default if unset.

    Raises:
        InvalidInput: for a negative duration, or a duration above a day.
    """
    seconds = times.duration_from_proto(duration)
    if not 0 <= seconds <= LONGEST_LEASE_SECONDS:
        raise InvalidInput(
            f"lease_duration must be above 0 and at most {LONGEST_LEASE_SECONDS:g} s, "
            f"got {seconds:g} s",
            field="lease_duration",
        )
    return seconds or DEFAULT_LEASE_SECONDS


def _check_request(request: pb.AskRequest) -> None:
    if request.max_candidates < 0:
        raise InvalidInput(
            f"max_candidates must be 0 or more, got {request.max_candidates}",
            field="max_candidates",
        )
    for field in ("client_id", "session_id"):
        length = len(getattr(request, field))
        if length > LONGEST_CLIENT_ID:
            raise InvalidInput(
                f"{field} must have at most {LONGEST_CLIENT_ID} characters, got {length}",
                field=field,
            )


def _nothing(
    space: SpaceSpec, state: StudyState, retry_after: float, stimuli: Array | None
) -> pb.AskResponse:
    codes = build_space(space).dtype is not None
    latents = np.zeros((0, space.dimension), np.int64 if codes else np.float32)
    return pb.AskResponse(
        latents=tensors.to_proto(latents),
        stimuli=None if stimuli is None else tensors.to_proto(stimuli),
        state=progress.state_to_proto(state),
        done=not state.active,
        retry_after=times.duration_to_proto(retry_after, "retry_after") if state.active else None,
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


def _measured(request: pb.TellRequest, rows: int) -> tuple[str, Array]:
    """The form of a client's measurements, and their values (rows, U)."""
    kind = request.WhichOneof("measurement")
    if kind is None and rows:
        raise ShapeMismatch(
            f"expected activations, all_units or scores for {rows} candidates, got none of them",
            field="activations",
        )
    if kind is None or kind == "scores":
        return "scores", telling.check(np.array(request.scores.values, np.float64), "scores", rows)
    values = tensors.from_proto(getattr(request, kind), field=kind)
    return kind, telling.check(values, kind, rows)


def _known_targets(study: Study, targets: Array) -> Array:
    if targets.size and targets.max() >= len(study.targets):
        raise InvalidInput(
            f"candidate_ids: a candidate of target {targets.max()} was never proposed: the study "
            f"has targets 0 to {len(study.targets) - 1}; tell candidates to the study that "
            "handed them out",
            field="candidate_ids",
        )
    return targets


def _checked(study: Study, candidates: Array, values: Array, kind: str) -> Array:
    """(N, units) the checked measurements of each target's own units."""
    measured = telling.own(study, _known_targets(study, candidates[:, 1]), values, kind)
    for generation, mine in _by_generation(candidates):
        targets = candidates[mine, 1]
        found = decisions.clients_values(study, targets, measured[mine])
        told = ToldRows(generation, targets, candidates[mine, 2], found)
        decisions.rows_told(study, told, study.wanted())
    return measured


def _by_generation(candidates: Array) -> list[tuple[int, NDArray[np.bool_]]]:
    return [(int(g), candidates[:, 0] == g) for g in np.unique(candidates[:, 0])]
