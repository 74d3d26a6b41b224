"""Execution of calls: each runs in a thread, and its errors become gRPC statuses.

A servicer's method is an ordinary function from request to response. Streams are asynchronous
generators. Both raise errors of `blackbox_am.errors`. Any other exception is a bug: it is logged
with its traceback, and the caller gets no details.

Each kind of call has its own threads (`Pool`), so that a slow model, a remote oracle without an
answer, or a study with a slow optimizer does not block readers.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, Protocol

import grpc
from google.protobuf.message_factory import GetMessageClass

from blackbox_am.errors import NotFound, NotOwner
from blackbox_am.rpc import names
from blackbox_am.service.aborting import abort
from blackbox_am.service.backend import Backend, Pool
from blackbox_am.service.logs import about
from blackbox_am.v1 import study_service_pb2

CARRIES = 5
"""Number of times that a call is sent to an owner that has gone before it is answered here."""
CONTROLS: dict[str, Callable[[Any, Any], Any]] = {}
"""The methods that only the owner of a study can answer, by name."""
_METHODS = study_service_pb2.DESCRIPTOR.services_by_name["StudyService"].methods_by_name


class _Servicer(Protocol):
    backend: Backend


def unary(method: Callable[[Any, Any], Any]) -> Any:
    """`method` (servicer, request) -> response as a gRPC method that only reads."""
    return _unary(method, Pool.READS)


def unary_control(method: Callable[[Any, Any], Any]) -> Any:
    """`method` as a gRPC method that changes the study named in the request.

    If another server owns the study, that server answers the call.
    """
    return _unary(_owned(method), Pool.CONTROL)


def unary_undone(
    undo: Callable[[Any, Any, Any], None],
) -> Callable[[Callable[[Any, Any], Any]], Any]:
    """The same for a method whose response no other call repeats.

    Args:
        undo: called with the servicer, the request and the response if the caller left before the
            response was there.
    """

    def decorate(method: Callable[[Any, Any], Any]) -> Any:
        return _unary(_owned(method), Pool.CONTROL, undo)

    return decorate


def _owned(method: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    CONTROLS[method.__name__] = method

    @functools.wraps(method)
    def owned(servicer: _Servicer, request: Any) -> Any:
        return by_owner(servicer, method.__name__, request)

    return owned


def by_owner(servicer: _Servicer, name: str, request: Any) -> Any:
    """The answer of the server that owns the study of `request` to the method `name`.

    A deletion that was sent to the owner has succeeded if the study does not exist afterwards: the
    owner's answer may be lost, because a deleted study has no owner.

    Raises:
        BlackboxError: what the method raises.
    """
    refused: NotOwner | None = None
    for _ in range(CARRIES):
        try:
            return CONTROLS[name](servicer, request)
        except NotOwner as error:
            refused = error
        except NotFound:
            if refused is not None and name == "DeleteStudy":
                return _response_class(name)()
            raise
        study_id, body = names.study_id(request.name), request.SerializeToString()
        response = servicer.backend.peers.carry(study_id, name, body)
        if response is not None:
            return _response_class(name).FromString(response)
    assert refused is not None
    raise refused


def unary_model(method: Callable[[Any, Any], Any]) -> Any:
    """`method` as a gRPC method that runs models of this process."""
    return _unary(method, Pool.MODELS)


def unary_remote(method: Callable[[Any, Any], Any]) -> Any:
    """`method` as a gRPC method that may call a model of another process."""
    return _unary(method, Pool.REMOTE)


def control(servicer: _Servicer, name: str, request: bytes) -> bytes:
    """Answer a call that another server sent to this server.

    Raises:
        BlackboxError: any error of the method.
    """
    method = CONTROLS[name]
    described = _METHODS[name].input_type
    response = method(servicer, GetMessageClass(described).FromString(request))
    return bytes(response.SerializeToString())


def streaming(method: Callable[[Any, Any], AsyncGenerator[Any, None]]) -> Any:
    """`method` (servicer, request or requests) -> responses as a gRPC method."""

    @functools.wraps(method)
    async def answer(
        servicer: _Servicer, request: Any, context: grpc.aio.ServicerContext
    ) -> AsyncIterator[Any]:
        try:
            # Closed as soon as the caller disconnects, not when the generator is garbage-collected.
            async with aclosing(method(servicer, request)) as responses:
                async for response in responses:
                    yield response
        except Exception as error:  # noqa: BLE001  # the last one that can answer
            await abort(context, method.__name__, error)

    return answer


def receiving(method: Callable[[Any, Any], Awaitable[Any]]) -> Any:
    """`method` (servicer, requests) -> response, as gRPC calls it."""

    @functools.wraps(method)
    async def answer(servicer: _Servicer, requests: Any, context: grpc.aio.ServicerContext) -> Any:
        try:
            return await method(servicer, requests)
        except Exception as error:  # noqa: BLE001  # the last one that can answer
            await abort(context, method.__name__, error)

    return answer


def _response_class(name: str) -> Any:
    return GetMessageClass(_METHODS[name].output_type)


def _unary(
    method: Callable[[Any, Any], Any],
    pool: Pool,
    undo: Callable[[Any, Any, Any], None] | None = None,
) -> Any:
    @functools.wraps(method)
    async def answer(servicer: _Servicer, request: Any, context: grpc.aio.ServicerContext) -> Any:
        run = functools.partial(method, servicer, request)
        undone = None if undo is None else functools.partial(undo, servicer, request)
        backend = servicer.backend
        with about(method=method.__name__, resource=str(getattr(request, "name", ""))):
            try:
                with backend.methods[method.__name__].counting():
                    return await backend.in_thread(run, pool, undone)
            except Exception as error:  # noqa: BLE001  # the last one that can answer
                await abort(context, method.__name__, error)

    return answer
