"""Whether the server is there, as a feed."""

from __future__ import annotations

import asyncio

import grpc

from blackbox_am.gateway.feeds.feed import Feed
from blackbox_am.gateway.feeds.mailbox import Message
from blackbox_am.gateway.upstream import Upstream

SERVER = "*server"
AGAIN_SECONDS = 0.5
"""Seconds between two questions to a server that cannot be used."""


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
        self._upstream = upstream

    def message(self) -> Message:
        """The present state, for a new reader."""
        problem = "connecting" if self.problem is None else self.problem
        content = {"connected": not problem, "message": problem}
        return Message("server", content, SERVER)

    def lost(self, problem: str) -> None:
        """Tells readers that a call failed because the server is away."""
        self._set(problem)

    async def run(self) -> None:
        """See `Feed.run`."""
        channel = self._upstream.channel
        while True:
            state = channel.get_state(try_to_connect=True)
            problem = await self._upstream.problem()
            self._set(problem)
            if problem:
                await asyncio.sleep(AGAIN_SECONDS)
                continue
            state = channel.get_state(try_to_connect=True)
            if state == grpc.ChannelConnectivity.READY:
                await channel.wait_for_state_change(state)

    def _set(self, problem: str) -> None:
        changed, self.problem = problem != self.problem, problem
        self.known.set()
        if problem:
            self.back.clear()
        else:
            self.back.set()
        if changed:
            self.send(self.message())
