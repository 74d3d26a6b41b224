"""Watches of studies in the background of a driver."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from typing import Any

from blackbox_am.core.study_events import StudyEvent
from blackbox_am.errors import BlackboxError
from clients.conformance.drivers import encoding


class Watch:
    """Fetches events in a thread, until they end.

    Args:
        events: the events of a study.
    """

    def __init__(self, events: Iterator[StudyEvent]) -> None:
        self._events = events
        self._found: queue.SimpleQueue[StudyEvent | BlackboxError | None] = queue.SimpleQueue()
        self._ended = False
        self._problem: BlackboxError | None = None
        threading.Thread(target=self._fetch, daemon=True).start()

    def next(self, count: int, seconds: float) -> dict[str, Any]:
        """Up to `count` events, as soon as they are there, or after `seconds`.

        Raises:
            BlackboxError: the error of the watch, after the events before it.
        """
        events: list[dict[str, Any]] = []
        deadline = time.monotonic() + seconds
        while len(events) < count and not self._ended and self._problem is None:
            try:
                found = self._found.get(timeout=max(deadline - time.monotonic(), 0.001))
            except queue.Empty:
                break
            if found is None:
                self._ended = True
            elif isinstance(found, BlackboxError):
                self._problem = found
            else:
                events.append(encoding.event(found))
        if self._problem is not None and not events:
            self._ended = True
            raise self._problem
        return {"events": events, "ended": self._ended}

    def _fetch(self) -> None:
        try:
            for event in self._events:
                self._found.put(event)
            self._found.put(None)
        except BlackboxError as error:
            self._found.put(error)
