"""The connection to the gRPC server, shared by all requests and streams of the gateway."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Any

import grpc

from blackbox_am.core.addresses import grpc_proxy_options
from blackbox_am.core.certificates import Tls
from blackbox_am.errors import (
    BlackboxError,
    Denied,
    Forbidden,
    ServerUnavailable,
    Unauthenticated,
    Unsupported,
)
from blackbox_am.rpc import api, channels
from blackbox_am.rpc.status import from_rpc_error
from blackbox_am.v1 import catalog_service_pb2 as catalog_pb
from blackbox_am.v1.catalog_service_pb2_grpc import CatalogServiceStub
from blackbox_am.v1.group_service_pb2_grpc import GroupServiceStub
from blackbox_am.v1.oracle_service_pb2_grpc import OracleServiceStub
from blackbox_am.v1.study_service_pb2_grpc import StudyServiceStub

CALL_SECONDS = 60.0
"""Longest duration of a call, which may render stimuli or observe images."""
INFO_SECONDS = 3.0
"""Longest duration of the call that asks whether the server is there."""

_OPTIONS = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 800),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 5_000),
)


class Upstream:
    """A channel to the server. Must be created on the gateway's event loop.

    Args:
        target: the server's address.
        token: sent with each call; None for a server without tokens.
        tls: how the connection is encrypted; None for no encryption.

    Attributes:
        target: the server's address.
        studies, groups, catalog, oracles: the services.

    Raises:
        InvalidInput: for a token that cannot be sent safely, and for files that are not
            certificates.
    """

    def __init__(self, target: str, token: str | None = None, tls: Tls | None = None) -> None:
        self.target = target
        self._tls = tls
        self._metadata = channels.metadata_of(token)
        if token is not None:
            channels.check_token(token, target, tls)
        options = [*_OPTIONS, *grpc_proxy_options(target), *channels.name_options(tls)]
        if tls is None:
            self.channel = grpc.aio.insecure_channel(target, options=options)
        else:
            credentials = grpc.ssl_channel_credentials(*tls.contents())
            self.channel = grpc.aio.secure_channel(target, credentials, options=options)
        self.studies: Any = StudyServiceStub(self.channel)
        self.groups: Any = GroupServiceStub(self.channel)
        self.catalog: Any = CatalogServiceStub(self.channel)
        self.oracles: Any = OracleServiceStub(self.channel)

    async def call(
        self, method: Callable[..., Any], request: Any, seconds: float = CALL_SECONDS
    ) -> Any:
        """One unary call.

        Raises:
            BlackboxError: the server's error; `ServerUnavailable` if it is away.
        """
        try:
            return await method(request, timeout=seconds, metadata=self._metadata)
        except grpc.aio.AioRpcError as error:
            raise self._error(error) from error

    async def stream(self, method: Callable[..., Any], request: Any) -> AsyncGenerator[Any]:
        """The answers of a streaming call, which is cancelled when the iterator is closed.

        Raises:
            BlackboxError: as `call`.
        """
        call = method(request, metadata=self._metadata)
        try:
            async for answer in call:
                yield answer
        except grpc.aio.AioRpcError as error:
            raise self._error(error) from error
        finally:
            call.cancel()

    async def info(self) -> catalog_pb.GetServerInfoResponse:
        """The server's description of itself.

        Raises:
            ServerUnavailable: if the server is away.
            Unsupported: if it has another version of the API.
        """
        request = catalog_pb.GetServerInfoRequest()
        info: catalog_pb.GetServerInfoResponse = await self.call(
            self.catalog.GetServerInfo, request, INFO_SECONDS
        )
        api.check_version(info.api_version, self.target)
        return info

    async def problem(self) -> str:
        """Why the server cannot be used; empty if it can."""
        try:
            await self.info()
        except (ServerUnavailable, Unsupported, Denied) as error:
            return error.message
        except BlackboxError as error:
            return f"{self.target} does not answer as a blackbox_am server: {error.message}"
        return ""

    async def close(self) -> None:
        """Closes the channel."""
        await self.channel.close()

    def _error(self, error: grpc.aio.AioRpcError) -> BlackboxError:
        problem = from_rpc_error(error, self.target)
        if isinstance(problem, Unauthenticated):
            # Of this process, not of the browser that asks it.
            return Forbidden(
                f"the server at {self.target} wants a token of the dashboard; start the dashboard "
                "with --token-file, or with BLACKBOX_AM_TOKEN in its environment"
                + ("; it does not accept the present one" if self._metadata else "")
            )
        meaning = channels.meaning(str(error.details() or ""), self._tls)
        if isinstance(problem, ServerUnavailable) and meaning:
            return ServerUnavailable(f"cannot talk to {self.target}: {meaning}")
        return problem


async def pause(event: asyncio.Event, seconds: float) -> bool:
    """Waits until `event` is set, for `seconds` at most. Returns whether it is set."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
