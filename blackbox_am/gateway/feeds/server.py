"""Whether the server is there, as a feed."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import Any

import grpc

from blackbox_am.gateway.feeds.feed import Feed
from blackbox_am.gateway.feeds.mailbox import Mailbox, Message
from blackbox_am.gateway.upstream import Upstream

SERVER = "*server"
AGAIN_SECONDS = 0.5
"""Least seconds between two questions whether the server can be used."""
RECONNECT_SECONDS = 1.0
"""A little more than the longest wait between two attempts to connect."""

log = logging.getLogger(__name__)


class ServerFeed(Feed):
    """Tells when the server goes away and when it comes back.

    The state of the channel tells it, so that nothing is asked while nothing changes.

    Args:
        upstream: the connection.

    Attributes:
        back: set while the server can be used.
        known: set once `problem` is known.
        problem: why the server cannot be used; empty if it can; None before it is known.
    """

    def __init__(self, upstream: Upstream) -> None:
        super().__init__(SERVER)
        self.back = asyncio.Event()
        self.known = asyncio.Event()
        self.problem: str | None = None
        self._doubted = asyncio.Event()
        self._upstream = upstream

    def join(self, mailbox: Mailbox) -> None:
        """See `Feed.join`. A reader is told how things stand as soon as that is known."""
        if not self._readers:  # what was known may have changed since the last reader left
            self.problem = None
            self.known.clear()
        if self.known.is_set():
            mailbox.put(self.message())
        super().join(mailbox)

    def message(self) -> Message:
        """The present state."""
        problem = "connecting" if self.problem is None else self.problem
        return Message.of("server", {"connected": not problem, "message": problem}, SERVER)

    def lost(self, problem: str) -> None:
        """A call failed because the server is away. Whether it is away for all calls is asked anew;
        readers are told the answer, and `back` is set again if it is not.
        """
        log.info("a call failed: %s", problem)
        self.back.clear()
        self._doubted.set()

    async def run(self) -> None:
        """See `Feed.run`."""
        channel = self._upstream.channel
        changed: asyncio.Future[Any] | None = None
        await self._reconnected()
        try:
            while True:
                self._doubted.clear()
                state = channel.get_state(try_to_connect=True)
                self._set(await self._upstream.problem())
                await asyncio.sleep(AGAIN_SECONDS)
                if self.problem or state != grpc.ChannelConnectivity.READY:
                    continue
                if changed is None or changed.done():
                    changed = asyncio.ensure_future(channel.wait_for_state_change(state))
                await self._first(changed)
        finally:
            if changed is not None:
                changed.cancel()

    async def _reconnected(self) -> None:
        """Gives a channel that failed before time for another attempt: until then its calls fail
        with the old reason.
        """
        channel = self._upstream.channel
        if channel.get_state(try_to_connect=True) == grpc.ChannelConnectivity.TRANSIENT_FAILURE:
            with suppress(TimeoutError):
                async with asyncio.timeout(RECONNECT_SECONDS):
                    await channel.wait_for_state_change(grpc.ChannelConnectivity.TRANSIENT_FAILURE)

    async def _first(self, changed: asyncio.Future[Any]) -> None:
        """Returns when the channel has changed, or a call has failed."""
        doubted: asyncio.Future[Any] = asyncio.ensure_future(self._doubted.wait())
        try:
            await asyncio.wait([changed, doubted], return_when=asyncio.FIRST_COMPLETED)
        finally:
            doubted.cancel()

    def _set(self, problem: str) -> None:
        changed, self.problem = problem != self.problem, problem
        self.known.set()
        if problem:
            self.back.clear()
        else:
            self.back.set()
        if changed:
            self.send(self.message())
