"""Requests that cannot be read: refused like any other bad input.

gRPC answers UNKNOWN where a message's bytes make no sense, or are nested too deep.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NoReturn

import grpc
from google.protobuf.message import DecodeError

from blackbox_am.errors import InvalidInput
from blackbox_am.rpc import observing, parts


class Unreadable:
    """Stands for a request that cannot be read: who looks into it learns why."""

    def __init__(self, error: DecodeError) -> None:
        self._error = error

    def __getattr__(self, name: str) -> NoReturn:
        raise InvalidInput(
            f"the request cannot be read: {self._error}; send a message of this method's type, "
            "nested 100 deep at most"
        )


class Decoding(grpc.aio.ServerInterceptor):  # type: ignore[misc]  # grpc.aio has no types
    """Hands `Unreadable` to our own services where a request cannot be read."""

    def __init__(self, services: Sequence[str]) -> None:
        self._prefixes = tuple(f"/{service}/" for service in services)

    async def intercept_service(
        self, continuation: Callable[[Any], Awaitable[Any]], handler_call_details: Any
    ) -> Any:
        handler = await continuation(handler_call_details)
        if handler is None or not handler_call_details.method.startswith(self._prefixes):
            return handler
        decode = handler.request_deserializer
        if handler_call_details.method == observing.METHOD:
            decode = parts.reader(decode)
        return handler._replace(request_deserializer=_forgiving(decode))


def _forgiving(decode: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    def read(data: bytes) -> Any:
        try:
            return decode(data)
        except DecodeError as error:
            return Unreadable(error)

    return read
