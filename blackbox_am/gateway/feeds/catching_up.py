"""Events that a reader missed: generations thinned by the server, all other events whole."""

from __future__ import annotations

from collections.abc import Sequence

from blackbox_am.gateway.documents import events
from blackbox_am.gateway.feeds.mailbox import Message
from blackbox_am.gateway.histories import MAX_POINTS, curves, targets_of_message
from blackbox_am.gateway.upstream import Upstream
from blackbox_am.rpc.names import study_name
from blackbox_am.v1 import study_pb2
from blackbox_am.v1 import study_service_pb2 as pb

MOST_GENERATIONS = 400
"""Largest number of missed generations that a reader is told."""


async def missed(upstream: Upstream, study: study_pb2.Study, after: int) -> list[Message]:
    """The messages about the events of a study after a number, up to `study.sequence`, in order.

    Args:
        upstream: the connection.
        study: the study as the reader is told next.
        after: number of the last event that the reader knows.

    Raises:
        BlackboxError: the server's error.
    """
    study_id = study.name.removeprefix("studies/")
    found = await _generations(upstream, study, study_id, after)
    found += await _others(upstream, study_id, after)
    known = [message for message in found if (message.sequence or 0) <= study.sequence]
    return sorted(known, key=lambda message: message.sequence or 0)


async def _generations(
    upstream: Upstream, study: study_pb2.Study, study_id: str, after: int
) -> list[Message]:
    count = max(2, min(MOST_GENERATIONS, MAX_POINTS // max(study.target_count, 1)))
    thinned = await curves(upstream, study_id, targets_of_message(study), count, after)
    return [
        Message.of(
            "generation",
            {"study": study_id, "sequence": sequence} | thinned.generation(column),
            study_id,
            sequence,
        )
        for column, sequence in enumerate(thinned.sequences)
    ]


async def _others(upstream: Upstream, study_id: str, after: int) -> Sequence[Message]:
    found: list[Message] = []
    token = ""
    while True:
        request = pb.ListEventsRequest(name=study_name(study_id), page_size=1000, page_token=token)
        answer = await upstream.call(upstream.studies.ListEvents, request)
        for event in answer.events:
            content = events.live(study_id, event)
            if event.sequence > after and content is not None:
                found.append(Message.of(*content, study_id, event.sequence))
        token = answer.next_page_token
        if not token or answer.events[-1].sequence <= after:
            return found
