"""The application: routes, errors, and the page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from blackbox_am.errors import BlackboxError
from blackbox_am.gateway import answers
from blackbox_am.gateway.endpoints import best, catalog, changes, groups, inputs, streams, studies
from blackbox_am.gateway.gateway import Gateway
from blackbox_am.gateway.security import Bugs, Guard
from blackbox_am.gateway.settings import Settings

OPENAPI = Path(__file__).parent / "openapi.json"


def create_app(settings: Settings) -> Starlette:
    """The HTTP application of a gateway; it connects to the server when it starts."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        app.state.gateway = Gateway(settings)
        try:
            yield
        finally:
            await app.state.gateway.close()

    return Starlette(
        routes=[*API, *_page(settings)],
        middleware=[Middleware(Guard, settings=settings), Middleware(Bugs)],
        exception_handlers={
            BlackboxError: _problem,
            HTTPException: _http_problem,
        },
        lifespan=lifespan,
    )


async def _openapi(request: Request) -> Response:
    del request
    return Response(OPENAPI.read_bytes(), media_type="application/json")


API: list[BaseRoute] = [
    Route("/api/openapi.json", _openapi),
    Route("/api/server", catalog.get_server),
    Route("/api/studies", studies.list_studies),
    Route("/api/studies", changes.create_study, methods=["POST"]),
    Route("/api/studies/{study}:{verb}", changes.steer_study, methods=["POST"]),
    Route("/api/studies/{study}", studies.get_study),
    Route("/api/studies/{study}/curves", studies.get_curves),
    Route("/api/studies/{study}/events-log", studies.get_log),
    Route("/api/studies/{study}/targets/{target}/best.png", best.best_png),
    Route("/api/studies/{study}/targets/{target}/natural.png", best.natural_png),
    Route("/api/studies/{study}/targets/{target}/input.png", inputs.input_png),
    Route("/api/studies/{study}/targets/{target}/change.png", inputs.change_png),
    Route("/api/studies/{study}/targets/{target}/best.json", best.best_json),
    Route("/api/oracles", catalog.list_oracles),
    Route("/api/oracles/{oracle}", catalog.get_oracle),
    Route("/api/oracles/{oracle}/units", catalog.list_units),
    Route("/api/oracles/{oracle}/natural", catalog.natural_images),
    Route("/api/oracles/{oracle}/natural/{rank}.png", catalog.natural_image),
    Route("/api/generators", catalog.list_generators),
    Route("/api/groups", groups.list_groups),
    Route("/api/groups/{group}", groups.get_group),
    Route("/api/events", streams.get_events),
]
"""The routes of the HTTP API, as `openapi.json` describes them."""


def _page(settings: Settings) -> list[BaseRoute]:
    if (settings.static / "index.html").is_file():
        return [Mount("/", StaticFiles(directory=settings.static, html=True))]

    async def missing(request: Request) -> Response:
        del request
        return PlainTextResponse(
            "This installation has no page; the API is at /api/openapi.json.\n"
        )

    return [Route("/", missing)]


async def _problem(request: Request, error: Exception) -> Response:
    del request
    assert isinstance(error, BlackboxError)
    return answers.problem(error)


async def _http_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    reason = {404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED"}.get(error.status_code, "INVALID_INPUT")
    message = f"{request.method} {request.url.path[:200]}: {error.detail}"
    content = {"error": {"reason": reason, "message": message}}
    return answers.json(content, error.status_code, dict(error.headers or {}))
