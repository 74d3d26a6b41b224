"""The interceptor that every call passes before a servicer sees the call."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import grpc

from blackbox_am.errors import BlackboxError
from blackbox_am.service.aborting import abort, outcome
from blackbox_am.service.auth.authority import Authority, resource_of
from blackbox_am.service.auth.permissions import OPEN
from blackbox_am.service.auth.principals import Principal, enter
from blackbox_am.service.auth.streams import InThread, Watchdog

_PLAIN = "unary_unary"
LOOKS_A_NAME_CHECK = 10
"""Each tenth check of a stream also checks whether its study still belongs to the caller: after a
deletion another caller can take the id.
"""


@dataclass
class _Call:
    """One call.

    Attributes:
        method: full name of the method.
        request: the request, or the iterator of requests.
        context: of gRPC.
        principal: the caller, once it is known.
        response: the response, once there is one.
    """

    method: str
    request: Any
    context: Any
    principal: Principal | None = None
    response: Any = None


class Guard(grpc.aio.ServerInterceptor):  # type: ignore[misc]  # grpc.aio has no types
    """Asks the authority about each call of every service, and ends streams whose caller lost its
    right. Health checks are open to everybody.

    Args:
        authority: decides.
        in_thread: runs a function that may wait for the store.
    """

    def __init__(self, authority: Authority, in_thread: InThread) -> None:
        self._authority = authority
        self._in_thread = in_thread
        self._watchdog = Watchdog(in_thread)

    async def intercept_service(
        self, continuation: Callable[[Any], Awaitable[Any]], handler_call_details: Any
    ) -> Any:
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or method.startswith(OPEN):
            return handler
        kind = (
            ("stream" if handler.request_streaming else "unary")
            + "_"
            + ("stream" if handler.response_streaming else "unary")
        )
        wrap = self._stream if handler.response_streaming else self._single
        return handler._replace(**{kind: wrap(method, getattr(handler, kind), kind)})

    async def close(self) -> None:
        """Ends the checks of streams."""
        await self._watchdog.close()

    def _call(self, method: str, request: Any, context: Any) -> _Call:
        call = _Call(method, request, context)
        call.context = _Context(context, partial(self._log, call))
        return call

    def _single(self, method: str, inner: Callable[..., Any], kind: str) -> Callable[..., Any]:
        async def answer(request: Any, context: Any) -> Any:
            call = self._call(method, request, context)
            async with self._admitted(call, kind):
                call.response = await inner(request, call.context)
            return call.response

        return answer

    def _stream(self, method: str, inner: Callable[..., Any], kind: str) -> Callable[..., Any]:
        async def answer(request: Any, context: Any) -> AsyncIterator[Any]:
            call = self._call(method, request, context)
            async with (
                self._admitted(call, kind),
                aclosing(inner(request, call.context)) as responses,
            ):
                async for response in responses:
                    yield response

        return answer

    @asynccontextmanager
    async def _admitted(self, call: _Call, kind: str) -> AsyncIterator[None]:
        await self._admit(call)
        refused: BlackboxError | None = None
        try:
            async with nullcontext() if kind == _PLAIN else self._watched(call):
                yield
        except asyncio.CancelledError:
            await self._log(call, "CANCELLED")
            raise
        except BlackboxError as error:  # the watchdog ended the stream
            refused = error
        if refused is not None:
            await abort(call.context, call.method, refused)
        try:
            await self._log(call, "OK")
        except BlackboxError as error:
            await call.context.end(call.method, error)

    async def _admit(self, call: _Call) -> None:
        if self._authority.tokens.lately_open():
            return

        def decide() -> None:
            call.principal = self._authority.identify(call.context.invocation_metadata())
            self._authority.admit(call.principal, call.method, call.request)

        try:
            await self._in_thread(decide)
        except Exception as error:  # noqa: BLE001  # nobody passes because of a bug
            await abort(call.context, call.method, error)
        enter(call.principal)

    def _watched(self, call: _Call) -> AbstractAsyncContextManager[None]:
        metadata = call.context.invocation_metadata()
        looks = itertools.count(1)

        def check() -> None:
            names = next(looks) % LOOKS_A_NAME_CHECK == 0
            self._authority.recheck(call.method, call.request, metadata, names=names)

        return self._watchdog.watching(check)

    async def _log(self, call: _Call, ended: str) -> None:
        if self._authority.logs(call.method, ended):
            resource = resource_of(call.request, call.response)
            log = partial(self._authority.log, call.principal, call.context.peer(), call.method)
            await self._in_thread(partial(log, resource, ended))


class _Context:
    """The context of a call. An error is logged before it is sent.

    Args:
        context: of gRPC.
        log: writes how the call ends to the audit log, if the call belongs there.
    """

    def __init__(self, context: Any, log: Callable[[str], Awaitable[None]]) -> None:
        self._context = context
        self._log = log

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    async def abort(self, code: Any, details: str = "", trailing_metadata: Any = ()) -> None:
        """Ends the call with an error; with another one if the error cannot be logged."""
        try:
            await self._log(outcome(code, trailing_metadata))
        except BlackboxError as problem:
            await self.end("the audit log", problem)
        await self._context.abort(code, details, trailing_metadata)

    async def end(self, method: str, error: Exception) -> None:
        """Ends the call with an error that is not logged."""
        await abort(self._context, method, error)
