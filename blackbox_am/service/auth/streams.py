"""Streams end soon after their caller may no longer read them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from blackbox_am.errors import BlackboxError, StoreError, Unauthenticated

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""Seconds between two checks of a stream."""

InThread = Callable[[Callable[[], Any]], Awaitable[Any]]
Check = Callable[[], None]
"""Raises a `BlackboxError` if the stream must end. May read the store."""


@dataclass(eq=False)
class _Stream:
    """A running stream: its task, its check, and why it was ended."""

    task: asyncio.Task[object]
    check: Check
    reason: BlackboxError | None = None


class Watchdog:
    """Repeats the check of each running stream, and ends the streams that fail it.

    Args:
        in_thread: runs a function that may wait for the store.
    """

    def __init__(self, in_thread: InThread) -> None:
        self._in_thread = in_thread
        self._streams: set[_Stream] = set()
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
        self._streams.add(stream)
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
            self._streams.discard(stream)

    async def close(self) -> None:
        """Ends the checks."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _look(self) -> None:
        while self._streams:
            await asyncio.sleep(LOOK_SECONDS)
            streams = [stream for stream in self._streams if stream.reason is None]
            # All in one thread: a thousand idle streams must not cost a thousand switches.
            try:
                errors = await self._in_thread(partial(_errors, [one.check for one in streams]))
            except RuntimeError as problem:  # the threads are closed: the server stops
                log.warning("streams are not checked any more: %s", problem)
                return
            for stream, error in zip(streams, errors, strict=True):
                if error is not None and stream in self._streams:
                    stream.reason = error
                    stream.task.cancel()


def _errors(checks: Sequence[Check]) -> list[BlackboxError | None]:
    return [_error(check) for check in checks]


def _error(check: Check) -> BlackboxError | None:
    try:
        check()
    except StoreError as error:
        log.warning("a stream could not be checked: %s", error)
    except BlackboxError as error:
        return error
    except Exception:
        log.exception("the check of a stream failed")
        return Unauthenticated("the token could not be checked; try again")
    return None
