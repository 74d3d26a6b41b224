"""Requests that cannot be decoded are refused like any other invalid input.

gRPC itself answers UNKNOWN for a malformed message and for a message that is nested too deeply, and
logs a traceback.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import wraps
from typing import Any, NoReturn

import grpc
from google.protobuf.message import DecodeError

from blackbox_am.errors import InvalidInput
from blackbox_am.rpc import observing, parts
from blackbox_am.service.aborting import abort

log = logging.getLogger(__name__)


class Unreadable:
    """Stands for a request that cannot be decoded: access to its content raises the reason."""

    def __init__(self, error: DecodeError) -> None:
        self._error = error

    def __getattr__(self, name: str) -> NoReturn:
        raise InvalidInput(
            f"the request cannot be read: {self._error}; send a message of this method's type, "
            "nested 100 deep at most"
        )


class Decoding(grpc.aio.ServerInterceptor):  # type: ignore[misc]  # grpc.aio has no types
    """Passes `Unreadable` to the servicers if a request cannot be decoded.

    Args:
        services: names of this package's services, which answer an `InvalidInput` themselves.
    """

    def __init__(self, services: Sequence[str]) -> None:
        self._prefixes = tuple(f"/{service}/" for service in services)

    async def intercept_service(
        self, continuation: Callable[[Any], Awaitable[Any]], handler_call_details: Any
    ) -> Any:
        handler, method = await continuation(handler_call_details), handler_call_details.method
        if handler is None:
            return handler
        decode = handler.request_deserializer
        if method == observing.METHOD:
            decode = parts.reader(decode)
        handler = handler._replace(request_deserializer=_forgiving(decode))
        if method.startswith(self._prefixes):
            return handler
        if handler.stream_stream is not None:
            return handler._replace(stream_stream=_refusing_parts(method, handler.stream_stream))
        kind = "unary_stream" if handler.response_streaming else "unary_unary"
        return handler._replace(**{kind: _refusing(method, getattr(handler, kind))})


def _forgiving(decode: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    def read(data: bytes) -> Any:
        try:
            return decode(data)
        except DecodeError as error:
            return Unreadable(error)

    return read


def _refusing(method: str, inner: Callable[..., Any]) -> Callable[..., Any]:
    """A method of another package's servicer, which answers an `InvalidInput` with its status."""

    @wraps(inner)
    async def answer(request: Any, context: Any) -> Any:
        try:
            return await inner(request, context)
        except InvalidInput as error:
            await _refuse(method, context, error)

    return answer


def _refusing_parts(method: str, inner: Callable[..., Any]) -> Callable[..., Any]:
    """The same for a method with a stream in both directions."""

    @wraps(inner)
    async def answer(requests: Any, context: Any) -> AsyncIterator[Any]:
        try:
            async for response in inner(requests, context):
                yield response
        except InvalidInput as error:
            await _refuse(method, context, error)

    return answer


async def _refuse(method: str, context: Any, error: InvalidInput) -> None:
    log.warning("%s: %s", method, error.message)
    await abort(context, method, error)
