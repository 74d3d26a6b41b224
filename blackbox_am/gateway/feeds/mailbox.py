"""Messages that wait for one reader of a stream."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Any

from blackbox_am.gateway.upstream import pause

MOST_MESSAGES = 512
"""Largest number of waiting messages of one source; a slower reader catches up from the server."""

CLOSING = "closing"
"""Kind of the message after which a stream ends; it is not sent to the reader."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message for readers.

    Attributes:
        kind: type of the message, such as `generation`.
        content: its content.
        source: where it comes from: the id of a study, or another name for a listing or the server.
        sequence: number of the event that the message tells; None if it tells none.
    """

    kind: str
    content: dict[str, Any]
    source: str = ""
    sequence: int | None = None


class Mailbox:
    """The messages for one reader, in order.

    A source whose messages exceed a limit loses all of them, and the reader is told to catch up.
    """

    def __init__(self) -> None:
        self._waiting: deque[Message] = deque()
        self._counts: dict[str, int] = {}
        self._behind: set[str] = set()
        self._news = asyncio.Event()

    def put(self, message: Message) -> None:
        """Adds a message."""
        source = message.source
        if source in self._behind:
            return
        if self._counts.get(source, 0) >= MOST_MESSAGES:
            self._waiting = deque(m for m in self._waiting if m.source != source)
            self._counts[source] = 0
            self._behind.add(source)
        else:
            self._waiting.append(message)
            self._counts[source] = self._counts.get(source, 0) + 1
        self._news.set()

    def behind(self) -> set[str]:
        """The sources of which messages were lost since the last call."""
        found, self._behind = self._behind, set()
        return found

    def take(self) -> Message | None:
        """The next message; None if none waits."""
        if not self._waiting:
            self._news.clear()
            return None
        message = self._waiting.popleft()
        self._counts[message.source] -= 1
        return message

    async def wait(self, seconds: float) -> bool:
        """Waits for news, for `seconds` at most. Returns whether there are any."""
        return await pause(self._news, seconds)
