"""What people look at, on the wire: progress, bests, scores, oracles."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import reduce
from operator import or_

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from blackbox_am.core.capability import Capability
from blackbox_am.core.capability import names as capability_names
from blackbox_am.core.types import (
    Accounting,
    Best,
    CandidateId,
    GenerationScores,
    LayerInfo,
    OracleInfo,
    StopReason,
    StudyProgress,
    StudyState,
    TargetProgress,
)
from blackbox_am.errors import InvalidInput
from blackbox_am.rpc import names, tensors
from blackbox_am.v1 import oracle_service_pb2 as oracle_pb
from blackbox_am.v1 import study_pb2 as pb
from blackbox_am.v1 import study_service_pb2 as service_pb

MAX_SECONDS = 1e9


def state_to_proto(state: StudyState) -> pb.StudyState.ValueType:
    """A state's number."""
    return pb.StudyState.Value(f"STUDY_STATE_{state.name}")


def state_from_proto(number: int) -> StudyState:
    """The state of that number.

    Raises:
        InvalidInput: where there is none.
    """
    if number not in pb.StudyState.values() or number == pb.STUDY_STATE_UNSPECIFIED:
        raise InvalidInput(f"{number} is not the number of a study state", field="states")
    return StudyState[pb.StudyState.Name(pb.StudyState.ValueType(number))[len("STUDY_STATE_") :]]


def stop_reason_to_proto(reason: StopReason) -> pb.StopReason.ValueType:
    """A reason's number; UNSPECIFIED for none."""
    if reason is StopReason.NONE:
        return pb.STOP_REASON_UNSPECIFIED
    return pb.StopReason.Value(f"STOP_REASON_{reason.name}")


def stop_reason_from_proto(number: int) -> StopReason:
    """The reason of that number; NONE for those we do not know."""
    if number not in pb.StopReason.values() or number == pb.STOP_REASON_UNSPECIFIED:
        return StopReason.NONE
    return StopReason[pb.StopReason.Name(pb.StopReason.ValueType(number))[len("STOP_REASON_") :]]


def progress_to_proto(progress: StudyProgress) -> pb.Study:
    """Progress as a study message. The parts that progress does not know stay unset."""
    return pb.Study(
        name=names.study_name(progress.study_id) if progress.study_id else "",
        spec=pb.StudySpec(budget=pb.Budget(queries_per_target=progress.queries_per_target)),
        state=state_to_proto(progress.state),
        stop_reason=stop_reason_to_proto(progress.stop_reason),
        message=progress.message,
        sequence=progress.sequence,
        generation=progress.generation,
        targets=[
            pb.TargetProgress(
                target=target.target,
                title=target.title,
                finished=target.finished,
                stop_reason=stop_reason_to_proto(target.stop_reason),
                queries=target.queries,
                best_score=target.best_score,
            )
            for target in progress.targets
        ],
        accounting=pb.Accounting(
            search_rows=progress.search_rows,
            failed_rows=progress.failed_rows,
            oracle_calls=progress.spent.calls,
            oracle_rows=progress.spent.rows,
            retries=progress.spent.retries,
            retried_rows=progress.spent.retried_rows,
            cache_hits=progress.spent.cache_hits,
            cost=progress.spent.cost,
        ),
        seconds=progress.seconds,
        optimizer=pb.PlugIn(name=progress.optimizer),
        warning=progress.warning,
    )


def progress_from_proto(study: pb.Study) -> StudyProgress:
    """The progress in a study message."""
    targets = tuple(
        TargetProgress(
            target.target,
            target.title,
            target.queries,
            target.best_score if target.HasField("best_score") else None,
            stop_reason_from_proto(target.stop_reason),
        )
        for target in study.targets
    )
    return StudyProgress(
        names.study_id(study.name) if study.name else "",
        state_from_proto(study.state),
        stop_reason_from_proto(study.stop_reason),
        study.message,
        study.sequence,
        study.generation,
        targets,
        study.spec.budget.queries_per_target,
        study.accounting.search_rows,
        study.accounting.failed_rows,
        study.seconds,
        study.optimizer.name,
        study.warning,
        Accounting(
            calls=study.accounting.oracle_calls,
            rows=study.accounting.oracle_rows,
            retries=study.accounting.retries,
            retried_rows=study.accounting.retried_rows,
            cache_hits=study.accounting.cache_hits,
            cost=study.accounting.cost,
        ),
    )


def best_to_proto(best: Best) -> pb.Best:
    """A best candidate as a message."""
    return pb.Best(
        target=best.target,
        title=best.title,
        score=best.score,
        generation=best.candidate.generation,
        row=best.candidate.row,
        latent=tensors.to_proto(best.latent),
        stimulus=None if best.stimulus is None else tensors.to_proto(best.stimulus),
    )


def best_from_proto(message: pb.Best, study_id: str) -> Best:
    """The best candidate in `message`."""
    return Best(
        message.target,
        message.title,
        message.score,
        CandidateId(study_id, message.generation, message.target, message.row),
        tensors.from_proto(message.latent, field="latent").copy(),
        tensors.from_proto(message.stimulus, field="stimulus").copy()
        if message.HasField("stimulus")
        else None,
    )


def generation_to_proto(generation: GenerationScores) -> service_pb.Generation:
    """A closed generation as a message."""
    return service_pb.Generation(
        generation=generation.generation,
        targets=generation.targets,
        scores=tensors.to_proto(generation.scores),
        total_rows=generation.scores.size,
        seconds=generation.seconds,
    )


def generation_from_proto(message: service_pb.Generation) -> GenerationScores:
    """The closed generation in `message`."""
    return GenerationScores(
        message.generation,
        tuple(message.targets),
        tensors.from_proto(message.scores, field="scores").copy(),
        message.seconds,
    )


def oracle_to_proto(name: str, info: OracleInfo) -> oracle_pb.DescribeOracleResponse:
    """An oracle's description as a message."""
    return oracle_pb.DescribeOracleResponse(
        oracle=name,
        kind=info.kind,
        capabilities=[
            oracle_pb.Capability.Value(f"CAPABILITY_{name}")
            for name in capability_names(info.capabilities)
        ],
        deterministic=info.deterministic,
        stimulus_shape=info.stimulus_shape,
        layers=[
            oracle_pb.Layer(
                name=layer.name,
                kind=layer.kind,
                shape=layer.shape,
                axes=layer.axes,
                units=layer.units,
                after_nonlinearity=layer.after_nonlinearity,
                labels=layer.labels,
            )
            for layer in info.layers
        ],
        batch_size=info.batch_size,
        wrappers=info.wrappers,
    )


def oracle_from_proto(message: oracle_pb.DescribeOracleResponse) -> OracleInfo:
    """The description in `message`, which anybody's server may have written.

    Raises:
        InvalidInput: where it makes no sense, saying what.
    """
    if any(n < 1 for n in message.stimulus_shape):
        raise InvalidInput(
            f"stimulus_shape: expected positive lengths, got {tuple(message.stimulus_shape)}",
            field="stimulus_shape",
        )
    return OracleInfo(
        message.kind,
        _capabilities(message),
        tuple(message.stimulus_shape),
        tuple(_layer(layer) for layer in message.layers),
        message.deterministic,
        max(message.batch_size, 1),
        tuple(message.wrappers),
    )


def time_to_proto(seconds: float) -> Timestamp:
    """Seconds since the epoch as a timestamp."""
    stamp = Timestamp()
    stamp.FromDatetime(datetime.fromtimestamp(seconds, UTC))
    return stamp


def time_from_proto(stamp: Timestamp) -> datetime:
    """A timestamp as an aware datetime, UTC."""
    return stamp.ToDatetime(UTC)


def duration_to_proto(seconds: float, field: str) -> Duration:
    """Seconds as a duration.

    Raises:
        InvalidInput: for nan, and for more than some 30 years.
    """
    if not abs(seconds) <= MAX_SECONDS:
        raise InvalidInput(
            f"{field}: expected seconds, at most {MAX_SECONDS:g}, got {seconds}", field=field
        )
    duration = Duration()
    duration.FromNanoseconds(round(seconds * 1e9))
    return duration


def _capabilities(message: oracle_pb.DescribeOracleResponse) -> Capability:
    """The flags of `message`. Numbers of a newer version are passed over."""
    known = oracle_pb.Capability.values()
    words = [oracle_pb.Capability.Name(n) for n in message.capabilities if n in known and n]
    if not words:
        raise InvalidInput(
            f"capabilities: expected one or more of {', '.join(Capability.__members__)}, got "
            f"{list(message.capabilities) or 'none'}",
            field="capabilities",
        )
    return reduce(or_, (Capability[word.removeprefix("CAPABILITY_")] for word in words))


def _layer(layer: oracle_pb.Layer) -> LayerInfo:
    shape, axes = tuple(layer.shape), tuple(layer.axes)
    if len(shape) != len(axes) or axes.count("unit") != 1 or any(n < 1 for n in shape):
        raise InvalidInput(
            f"layer {layer.name!r}: expected a positive length and a name for each axis, one of "
            f"them 'unit', got shape {shape} and axes {axes}",
            field="layers",
        )
    return LayerInfo(
        layer.name, layer.kind, shape, axes, layer.after_nonlinearity, tuple(layer.labels)
    )
