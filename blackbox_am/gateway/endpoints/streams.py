"""Live updates over HTTP: one stream of server-sent events for many studies."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from blackbox_am.core.ids import check_study_id
from blackbox_am.errors import InvalidInput
from blackbox_am.gateway.feeds.listing import LISTING
from blackbox_am.gateway.feeds.session import Session, read_last_id
from blackbox_am.gateway.gateway import gateway_of

MAX_STUDIES = 200
"""Largest number of studies of one stream."""


async def get_events(request: Request) -> Response:
    """GET /api/events."""
    gateway = gateway_of(request)
    words = request.query_params.get("studies", "").split(",")
    sources = list(dict.fromkeys(word.strip() for word in words if word.strip()))
    if not 1 <= len(sources) <= MAX_STUDIES:
        raise InvalidInput(
            f"studies: name 1 to {MAX_STUDIES} studies, or {LISTING}, separated by commas, got "
            f"{len(sources)}",
            field="studies",
        )
    for source in sources:
        if source != LISTING:
            check_study_id(source, field="studies")
    last = request.headers.get("last-event-id") or request.query_params.get("last_event_id", "")
    session = Session(gateway.hub, gateway.upstream, sources, read_last_id(last))
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(session.stream(), 200, headers, "text/event-stream")
