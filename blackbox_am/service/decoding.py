"""Requests that cannot be decoded are refused like any other invalid input.

gRPC itself answers UNKNOWN for a malformed message and for a message that is nested too deeply.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NoReturn

import grpc
from google.protobuf.message import DecodeError

from blackbox_am.errors import InvalidInput
from blackbox_am.rpc import observing, parts


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
    """Passes `Unreadable` to this package's services if a request cannot be decoded."""

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
