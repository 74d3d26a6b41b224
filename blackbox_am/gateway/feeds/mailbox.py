"""Messages that wait for one reader of a stream."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from blackbox_am.gateway.answers import encoded

MOST_MESSAGES = 512
"""Largest number of waiting messages of one source; a slower reader catches up from the server."""
MOST_BYTES = 2**24
"""Largest number of bytes of all waiting messages, if more than one waits."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message for readers.

    Attributes:
        kind: type of the message, such as `generation`.
        data: its content as JSON, which all readers share.
        source: where it comes from: the id of a study, or another name for a listing or the server.
        sequence: number of the event that the message tells; None if it tells none.
    """

    kind: str
    data: bytes
    source: str
    sequence: int | None = None

    @classmethod
    def of(
        cls, kind: str, content: dict[str, Any], source: str, sequence: int | None = None
    ) -> Message:
        """The message with this content."""
        return cls(kind, encoded(content), source, sequence)


@dataclass(slots=True)
class _Load:
    """What waits of one source."""

    messages: int = 0
    bytes: int = 0


class Mailbox:
    """The messages for one reader, in order.

    A source whose messages exceed a limit loses all of them, and the reader is told to catch up.

    Attributes:
        closed: whether the stream must end.
        news: set when something has changed since `take` found nothing.
    """

    def __init__(self) -> None:
        self.closed = False
        self.news = asyncio.Event()
        self._waiting: deque[Message] = deque()
        self._loads: dict[str, _Load] = {}
        self._bytes = 0
        self._behind: set[str] = set()

    def put(self, message: Message) -> None:
        """Adds a message."""
        source = message.source
        if source in self._behind:
            return
        load = self._loads.setdefault(source, _Load())
        self._count(message, 1)
        self._waiting.append(message)
        if load.messages > MOST_MESSAGES:
            self.lose(source)
        while self._bytes > MOST_BYTES and len(self._waiting) > 1:
            self.lose(max(self._loads, key=lambda one: self._loads[one].bytes))
        self.news.set()

    def lose(self, source: str) -> None:
        """Drops the messages of a source; its reader has to catch up."""
        self._behind.add(source)
        self._waiting = deque(message for message in self._waiting if message.source != source)
        self._bytes -= self._loads.pop(source, _Load()).bytes
        self.news.set()

    def behind(self) -> set[str]:
        """The sources of which messages were lost since the last call."""
        found, self._behind = self._behind, set()
        return found

    def close(self) -> None:
        """Has the stream end."""
        self.closed = True
        self.news.set()

    def take(self, held: Collection[str] = ()) -> Message | None:
        """The next message; None if none waits.

        Args:
            held: sources whose messages stay.
        """
        for place, message in enumerate(self._waiting):
            if message.source not in held:
                del self._waiting[place]
                self._count(message, -1)
                return message
        self.news.clear()
        return None

    def _count(self, message: Message, sign: int) -> None:
        load = self._loads[message.source]
        load.messages += sign
        load.bytes += sign * len(message.data)
        self._bytes += sign * len(message.data)
        if not load.messages:
            del self._loads[message.source]
