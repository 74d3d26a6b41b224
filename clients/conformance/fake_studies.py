"""Studies of fake servers: of a later version, refused, silent, in small pages."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

import grpc
import numpy as np
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from blackbox_am.rpc import tensors
from blackbox_am.v1 import study_event_pb2 as event_pb
from blackbox_am.v1 import study_pb2
from blackbox_am.v1 import study_service_pb2 as pb
from blackbox_am.v1.study_service_pb2_grpc import StudyServiceServicer

UNKNOWN_FIELD = b"\xa2\x3f\x05later"
"""Field 1012 of any message, with five bytes, as a later version may send it."""
UNKNOWN_STATE = 77
SILENT_SECONDS = 8.0
PAGE = 2


def abort(
    context: Any,
    code: grpc.StatusCode,
    reason: str,
    message: str,
    *,
    field: str = "",
    retry_seconds: float | None = None,
    domain: str = "blackbox_am",
) -> NoReturn:
    """Ends a call with an error and its details; no ErrorInfo where `reason` is empty."""
    status = Status(code=code.value[0], message=message)
    details: list[Message] = [ErrorInfo(reason=reason, domain=domain)] if reason else []
    if field:
        details.append(BadRequest(field_violations=[BadRequest.FieldViolation(field=field)]))
    if retry_seconds is not None:
        delay = Duration()
        delay.FromMilliseconds(round(1000 * retry_seconds))
        details.append(RetryInfo(retry_delay=delay))
    for detail in details:
        packed = AnyMessage()
        packed.Pack(detail)
        status.details.append(packed)
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(code, message)
    raise AssertionError("abort raises")


def _later(message: Any) -> Any:
    """`message` with a field that this version does not know."""
    return type(message).FromString(message.SerializeToString() + UNKNOWN_FIELD)


def _study(study_id: str, state: int) -> study_pb2.Study:
    message = study_pb2.Study(name=f"studies/{study_id}", sequence=4, generation=1, target_count=1)
    message.spec.generator.name = "tiny"
    message.spec.targets.add(quantities=["neuron:0"])
    message.spec.budget.queries_per_target = 40
    message.targets.add(title="neuron:0", queries=20, best_score=0.5)
    message.accounting.search_rows = 20
    number = study_pb2.Study.FromString(bytes([0x18, state]))  # field 3: `state`
    message.MergeFrom(number)
    return message


class Newer(StudyServiceServicer):
    """Sends values of enumerations, fields, events and reasons that this version does not know."""

    def GetStudy(self, request: pb.GetStudyRequest, context: Any) -> Any:  # noqa: N802
        study = _study(request.name.partition("/")[2], UNKNOWN_STATE)
        return _later(pb.GetStudyResponse(study=_later(study)))

    def ListStudies(self, request: Any, context: Any) -> Any:  # noqa: N802
        studies = [_study("a", UNKNOWN_STATE), _study("b", study_pb2.STUDY_STATE_RUNNING)]
        return _later(pb.ListStudiesResponse(studies=studies))

    def WatchStudy(self, request: pb.WatchStudyRequest, context: Any) -> Iterator[Any]:  # noqa: N802
        events = [
            event_pb.StudyEvent(sequence=1, created=event_pb.StudyCreated()),
            event_pb.StudyEvent.FromString(b"\x08\x02\xa2\x06\x00"),  # field 100: a later event
            event_pb.StudyEvent(
                sequence=3, generation_closed=event_pb.GenerationClosed(generation=0, targets=[0])
            ),
            event_pb.StudyEvent(
                sequence=4,
                state_changed=event_pb.StudyStateChanged(state=study_pb2.STUDY_STATE_SUCCEEDED),
            ),
        ]
        for event in events:
            if event.sequence > request.after_sequence:
                yield pb.WatchStudyResponse(event=_later(event))

    def PauseStudy(self, request: Any, context: Any) -> NoReturn:  # noqa: N802
        abort(
            context,
            grpc.StatusCode.FAILED_PRECONDITION,
            "STUDY_FROZEN",
            "the study is frozen",
            field="name",
            retry_seconds=2.5,
        )


class Refusing(StudyServiceServicer):
    """Refuses calls, each in another way."""

    def GetStudy(self, request: Any, context: Any) -> Any:  # noqa: N802
        return pb.GetStudyResponse(study=_study("a", study_pb2.STUDY_STATE_RUNNING))

    def PauseStudy(self, request: Any, context: Any) -> NoReturn:  # noqa: N802
        code = grpc.StatusCode.UNAVAILABLE
        abort(context, code, "SERVER_UNAVAILABLE", "shutting down", retry_seconds=7.0)

    def ResumeStudy(self, request: Any, context: Any) -> NoReturn:  # noqa: N802
        abort(context, grpc.StatusCode.RESOURCE_EXHAUSTED, "", "a proxy's quota")

    def CancelStudy(self, request: Any, context: Any) -> NoReturn:  # noqa: N802
        code = grpc.StatusCode.ABORTED
        abort(context, code, "STUDY_EXISTS", "another domain's word", domain="other.example")

    def ExtendStudy(self, request: Any, context: Any) -> NoReturn:  # noqa: N802
        code = grpc.StatusCode.RESOURCE_EXHAUSTED
        abort(context, code, "QUOTA_EXCEEDED", "the quota is used up", retry_seconds=60.0)

    def DeleteStudy(self, request: Any, context: Any) -> NoReturn:  # noqa: N802
        abort(context, grpc.StatusCode.INTERNAL, "", "")

    def GetBest(self, request: Any, context: Any) -> NoReturn:  # noqa: N802
        code = grpc.StatusCode.UNAVAILABLE
        abort(context, code, "STORE_ERROR", "the disk is full", retry_seconds=2.0)


class Silent(StudyServiceServicer):
    """Does not answer in time."""

    def GetStudy(self, request: Any, context: Any) -> NoReturn:  # noqa: N802
        ended = threading.Event()
        context.add_callback(ended.set)
        ended.wait(SILENT_SECONDS)
        abort(context, grpc.StatusCode.INTERNAL, "", "nobody waited")


class Paged(StudyServiceServicer):
    """Five of everything, two a page, and an empty page between them."""

    def GetStudy(self, request: pb.GetStudyRequest, context: Any) -> Any:  # noqa: N802
        state = study_pb2.STUDY_STATE_SUCCEEDED
        return pb.GetStudyResponse(study=_study(request.name.partition("/")[2], state))

    def PauseStudy(self, request: pb.PauseStudyRequest, context: Any) -> Any:  # noqa: N802
        state = study_pb2.STUDY_STATE_PAUSED
        return pb.PauseStudyResponse(study=_study(request.name.partition("/")[2], state))

    def ListStudies(self, request: Any, context: Any) -> Any:  # noqa: N802
        all_of = [_study(f"s{i}", study_pb2.STUDY_STATE_PAUSED) for i in range(5)]
        page, token = _page(all_of, request.page_token)
        return pb.ListStudiesResponse(studies=page, next_page_token=token)

    def ListGenerations(self, request: Any, context: Any) -> Any:  # noqa: N802
        all_of = [
            pb.Generation(
                generation=i,
                targets=[0],
                scores=tensors.to_proto(np.full((1, 2), i, np.float64)),
                total_rows=2 * i + 2,
            )
            for i in range(5)
        ]
        page, token = _page(all_of, request.page_token)
        return pb.ListGenerationsResponse(generations=page, next_page_token=token)

    def GetBest(self, request: Any, context: Any) -> Any:  # noqa: N802
        latent = tensors.to_proto(np.zeros(2, np.float32))
        all_of = [study_pb2.Best(target=i, score=i / 2, latent=latent) for i in range(5)]
        page, token = _page(all_of, request.page_token)
        return pb.GetBestResponse(best=page, next_page_token=token)


def _page(all_of: Sequence[Any], token: str) -> tuple[Sequence[Any], str]:
    if token == "empty":  # noqa: S105  # a page
        return [], str(PAGE)
    start = int(token or 0)
    end = start + PAGE
    after = "" if end >= len(all_of) else "empty" if start == 0 else str(end)
    return all_of[start:end], after
