"""A source of messages with readers; it works only while it has readers."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable

from blackbox_am.gateway.feeds.mailbox import Mailbox, Message

AGAIN_SECONDS = 5.0
"""Seconds after which a feed that failed unexpectedly starts again."""

log = logging.getLogger(__name__)


class Feed(ABC):
    """A task that sends messages to the mailboxes of its readers.

    Args:
        source: its name in messages.
        on_idle: called when the last reader has left and the task has ended.
    """

    def __init__(self, source: str, on_idle: Callable[[], None] = lambda: None) -> None:
        self.source = source
        self._on_idle = on_idle
        self._readers: set[Mailbox] = set()
        self._task: asyncio.Task[None] | None = None

    @property
    def readers(self) -> int:
        """Number of readers."""
        return len(self._readers)

    def join(self, mailbox: Mailbox) -> None:
        """Adds a reader; the first reader starts the task."""
        self._readers.add(mailbox)
        if self._task is None:
            self._task = asyncio.create_task(self._guarded())

    def leave(self, mailbox: Mailbox) -> None:
        """Removes a reader; without readers the task ends."""
        self._readers.discard(mailbox)
        if not self._readers and self._task is not None:
            self._task.cancel()
            self._task = None
            self._on_idle()

    def send(self, message: Message) -> None:
        """Sends a message to all readers."""
        for mailbox in self._readers:
            mailbox.put(message)

    def send_again(self) -> None:
        """Has all readers catch up, whatever they were told."""
        for mailbox in self._readers:
            mailbox.lose(self.source)

    def close(self) -> None:
        """Ends the streams of all readers."""
        for mailbox in self._readers:
            mailbox.close()

    @abstractmethod
    async def run(self) -> None:
        """Sends messages until the task is cancelled."""

    async def _guarded(self) -> None:
        mine = asyncio.current_task()
        while self._task is mine:  # not if it fails while it is cancelled
            try:
                await self.run()
            except Exception:
                log.exception("the feed %s failed, and starts again", self.source)
            await asyncio.sleep(AGAIN_SECONDS)
