"""Streams end soon after their caller may no longer read them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from blackbox_am.errors import BlackboxError, StoreError, Unauthenticated

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""Seconds between two checks of a stream."""

Check = Callable[[], Awaitable[None]]
"""Raises a `BlackboxError` if the stream must end."""


@dataclass
class _Stream:
    """A running stream: its task, its check, and why it was ended."""

    task: asyncio.Task[object]
    check: Check
    reason: BlackboxError | None = None


class Watchdog:
    """Repeats the check of each running stream, and ends the streams that fail it."""

    def __init__(self) -> None:
        self._streams: list[_Stream] = []
        self._task: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def watching(self, check: Check) -> AsyncIterator[None]:
        """The current task is a stream for which `check` must hold.

        Raises:
            BlackboxError: what `check` raised, instead of what the context was doing.
        """
        task = asyncio.current_task()
        assert task is not None  # gRPC runs each call in a task
        stream = _Stream(task, check)
        self._streams.append(stream)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._look())
        try:
            yield
        except asyncio.CancelledError:
            if stream.reason is None:
                raise
            task.uncancel()
            raise stream.reason from None
        finally:
            self._streams.remove(stream)

    async def close(self) -> None:
        """Ends the checks."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _look(self) -> None:
        while self._streams:
            await asyncio.sleep(LOOK_SECONDS)
            for stream in list(self._streams):
                if stream.reason is None and stream in self._streams:
                    await self._examine(stream)

    async def _examine(self, stream: _Stream) -> None:
        try:
            await stream.check()
        except StoreError as error:
            log.warning("a stream could not be checked: %s", error)
        except BlackboxError as error:
            self._end(stream, error)
        except Exception:
            log.exception("the check of a stream failed")
            self._end(stream, Unauthenticated("the token could not be checked; try again"))

    def _end(self, stream: _Stream, error: BlackboxError) -> None:
        if stream in self._streams:
            stream.reason = error
            stream.task.cancel()
