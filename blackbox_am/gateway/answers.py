"""Answers of the HTTP API: JSON, and errors with the status that fits their class."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from blackbox_am import errors
from blackbox_am.errors import BlackboxError
from blackbox_am.rpc.status import reason_of

STATUS: tuple[tuple[type[BlackboxError], int], ...] = (
    (errors.MessageTooLarge, 413),
    (errors.InvalidInput, 400),
    (errors.NotFound, 404),
    (errors.Conflict, 409),
    (errors.Unsupported, 501),
    (errors.Unauthenticated, 401),
    (errors.QuotaExceeded, 429),
    (errors.Denied, 403),
    (errors.OracleTimeout, 504),
    (errors.OracleError, 502),
    (errors.ServerUnavailable, 503),
    (errors.StoreError, 500),
    (BlackboxError, 502),
)
"""The HTTP status of each class of errors; the first class that fits counts."""


def encoded(content: Any) -> bytes:
    """`content` as JSON; nan and infinities are null."""
    return msgspec.json.encode(content)


def json(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """An answer in JSON."""
    given = {"cache-control": "no-store"} | (headers or {})
    return Response(encoded(content), status, given, "application/json")


def problem(error: BlackboxError) -> Response:
    """The answer for an error."""
    status = next(status for kind, status in STATUS if isinstance(error, kind))
    content = {"reason": reason_of(type(error)), "message": error.message}
    headers = {}
    if error.field:
        content["field"] = error.field
    if error.retry_after is not None:
        headers["retry-after"] = str(max(1, round(error.retry_after)))
    if status == 401:
        headers["www-authenticate"] = "Bearer"
    return json({"error": content}, status, headers)


def tag(*parts: object) -> str:
    """An entity tag for content that `parts` determine."""
    digest = hashlib.blake2b(digest_size=12)
    for part in parts:
        data = part if isinstance(part, bytes) else str(part).encode()
        digest.update(len(data).to_bytes(8, "little") + data)
    return f'"{digest.hexdigest()}"'


def unchanged(request: Request, etag: str) -> Response | None:
    """304 if the caller has the content with this tag; else None."""
    known = request.headers.get("if-none-match", "")
    tags = [part.strip().removeprefix("W/") for part in known.split(",")]
    if etag in tags or known.strip() == "*":
        return Response(status_code=304, headers=_kept(etag))
    return None


def tagged(content: bytes, media_type: str, etag: str) -> Response:
    """An answer that the caller keeps, and asks for again with its tag."""
    return Response(content, 200, _kept(etag), media_type)


def _kept(etag: str) -> dict[str, str]:
    return {"etag": etag, "cache-control": "no-cache"}
