"""Values for display on the wire: progress, best candidates, scores, oracles."""

from __future__ import annotations

from typing import Any

from blackbox_am.core.capability import Capability
from blackbox_am.core.types import (
    Best,
    CandidateId,
    GenerationScores,
    OracleInfo,
    StudyProgress,
    StudyState,
)
from blackbox_am.errors import InvalidInput
from blackbox_am.rpc.enumerations import member, number
from blackbox_am.rpc.mapping import from_message, plain_of, to_message
from blackbox_am.v1 import oracle_service_pb2 as oracle_pb
from blackbox_am.v1 import study_pb2 as pb
from blackbox_am.v1 import study_service_pb2 as service_pb

_STATES = pb.DESCRIPTOR.enum_types_by_name["StudyState"]


def state_to_proto(state: StudyState) -> Any:
    """A state's number."""
    return number(_STATES, state)


def state_from_proto(state: int) -> StudyState:
    """The state with this number; `UNKNOWN` if no state has it."""
    return StudyState(member(_STATES, state, StudyState, "state"))


def progress_to_proto(progress: StudyProgress) -> pb.Study:
    """Progress as a study message. Fields without a counterpart in progress stay unset."""
    message = to_message(progress, pb.Study())
    message.target_count = len(progress.targets)
    scores = [t.best_score for t in progress.targets if t.best_score is not None]
    if scores:
        message.best_score = max(scores)
    return message


def progress_from_proto(study: pb.Study) -> StudyProgress:
    """The progress in a study message."""
    return from_message(study, StudyProgress)


def best_to_proto(best: Best) -> pb.Best:
    """A best candidate as a message."""
    place = pb.Best(generation=best.candidate.generation, row=best.candidate.row)
    return to_message(best, place)


def best_from_proto(message: pb.Best, study_id: str) -> Best:
    """The best candidate in `message`."""
    found = plain_of(message, Best)
    candidate = CandidateId(study_id, message.generation, message.target, message.row)
    return Best(**{**found, "candidate": candidate})


def generation_to_proto(generation: GenerationScores) -> service_pb.Generation:
    """A closed generation as a message."""
    total = generation.scores.size
    return to_message(generation, service_pb.Generation(total_rows=total))


def generation_from_proto(message: service_pb.Generation) -> GenerationScores:
    """The closed generation in `message`."""
    return from_message(message, GenerationScores)


def oracle_to_proto(name: str, info: OracleInfo) -> oracle_pb.DescribeOracleResponse:
    """An oracle's description as a message."""
    return to_message(info, oracle_pb.DescribeOracleResponse(oracle=name))


def oracle_from_proto(message: oracle_pb.DescribeOracleResponse) -> OracleInfo:
    """The description in `message`, which may come from any server.

    Raises:
        InvalidInput: if the description is invalid. The message names the field.
    """
    found = plain_of(message, OracleInfo)
    if not found["capabilities"]:
        raise InvalidInput(
            f"capabilities: expected one or more of {', '.join(Capability.__members__)}, got "
            f"{list(message.capabilities) or 'none'}",
            field="capabilities",
        )
    if any(n < 1 for n in message.stimulus_shape):
        raise InvalidInput(
            f"stimulus_shape: expected positive lengths, got {tuple(message.stimulus_shape)}",
            field="stimulus_shape",
        )
    for layer in message.layers:
        _check_layer(layer)
    return OracleInfo(**{**found, "batch_size": max(message.batch_size, 1)})


def _check_layer(layer: oracle_pb.Layer) -> None:
    shape, axes = tuple(layer.shape), tuple(layer.axes)
    if len(shape) != len(axes) or axes.count("unit") != 1 or any(n < 1 for n in shape):
        raise InvalidInput(
            f"layer {layer.name!r}: expected a positive length and a name for each axis, one of "
            f"them 'unit', got shape {shape} and axes {axes}",
            field="layers",
        )
