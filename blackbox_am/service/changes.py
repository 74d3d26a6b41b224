"""Notifications about changed studies."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Changes:
    """Wakes waiting tasks of a study, from any thread, on the server's event loop.

    A notification has no content: a woken task reads the journal.

    Attributes:
        closed: whether the server is stopping.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.closed = False
        self._loop = loop
        self._waiting: dict[str, set[asyncio.Event]] = {}

    def notify(self, study_id: str) -> None:
        """Notify about a change. Safe to call from any thread."""
        with suppress(RuntimeError):  # the loop is closed: no task waits any more
            self._loop.call_soon_threadsafe(self._wake, study_id)

    def close(self) -> None:
        """Wake all tasks for the last time; called on the loop's thread."""
        self.closed = True
        for study_id in list(self._waiting):
            self._wake(study_id)

    @contextmanager
    def listening(self, study_id: str) -> Iterator[asyncio.Event]:
        """An event that is set at every change of the study."""
        news = asyncio.Event()
        self._waiting.setdefault(study_id, set()).add(news)
        try:
            yield news
        finally:
            self._waiting[study_id].discard(news)
            if not self._waiting[study_id]:
                del self._waiting[study_id]

    def _wake(self, study_id: str) -> None:
        for news in self._waiting.get(study_id, ()):
            news.set()
