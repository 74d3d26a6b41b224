"""How a call is answered: in a thread, its errors turned into statuses.

A servicer's method is an ordinary function from request to response. Streams are
asynchronous generators. Both raise errors of `blackbox_am.errors`; anything else is a bug,
which is logged with its traceback, and of which the caller learns no details.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import Any, Protocol

import grpc

from blackbox_am.errors import BlackboxError
from blackbox_am.rpc import status
from blackbox_am.service.backend import Backend

log = logging.getLogger(__name__)


class _Servicer(Protocol):
    backend: Backend


def unary(method: Callable[[Any, Any], Any]) -> Any:
    """`method` (servicer, request) -> response, as gRPC calls it."""
    return _unary(method, runs_models=False)


def unary_model(method: Callable[[Any, Any], Any]) -> Any:
    """The same, for a method that runs models."""
    return _unary(method, runs_models=True)


def streaming(method: Callable[[Any, Any], AsyncGenerator[Any, None]]) -> Any:
    """`method` (servicer, request or requests) -> responses, as gRPC calls it."""

    @functools.wraps(method)
    async def answer(
        servicer: _Servicer, request: Any, context: grpc.aio.ServicerContext
    ) -> AsyncIterator[Any]:
        try:
            # Closed at once where the caller goes away, not whenever it is collected.
            async with aclosing(method(servicer, request)) as responses:
                async for response in responses:
                    yield response
        except Exception as error:  # noqa: BLE001  # the last one that can answer
            await _abort(context, method.__name__, error)

    return answer


def _unary(method: Callable[[Any, Any], Any], *, runs_models: bool) -> Any:
    @functools.wraps(method)
    async def answer(servicer: _Servicer, request: Any, context: grpc.aio.ServicerContext) -> Any:
        try:
            return await servicer.backend.in_thread(
                functools.partial(method, servicer, request), runs_models=runs_models
            )
        except Exception as error:  # noqa: BLE001  # the last one that can answer
            await _abort(context, method.__name__, error)

    return answer


async def _abort(context: grpc.aio.ServicerContext, method: str, error: Exception) -> None:
    if isinstance(error, BlackboxError):
        answer = status.to_status(error)
    else:
        log.error("%s failed", method, exc_info=error)
        answer = status.internal()
    code, metadata = status.code_and_metadata(answer)
    await context.abort(code, answer.message, trailing_metadata=metadata)
